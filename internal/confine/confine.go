// SPDX-License-Identifier: MIT

// Package confine keeps the process to the system calls that a running picket makes, by
// seccomp(2): no program is started, nothing mounted, traced, loaded or entered, no
// identity or right changed. Its unit does so from outside; this is for a picket that
// runs without it.
//
// The filter holds for every thread and for all that it would ever start. It cannot be
// taken off again.
package confine

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// calls are what picket, its libraries and Go's runtime ask the kernel for once a picket
// runs. They were taken from traces of it, with their neighbours: the other forms of the
// same thing that a later Go may use. An architecture lacks some.
const calls = `
	mmap munmap mprotect madvise mremap brk mincore
	futex sched_yield sched_getaffinity set_robust_list rseq gettid getpid tgkill sigaltstack
	rt_sigaction rt_sigprocmask rt_sigreturn restart_syscall exit exit_group arch_prctl
	nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
	timer_create timer_settime timer_delete timerfd_create timerfd_settime timerfd_gettime
	epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe2 poll ppoll select pselect6

	read write readv writev pread64 pwrite64 lseek close dup dup3 fcntl ioctl
	open openat openat2 access faccessat faccessat2 stat fstat lstat newfstatat statx statfs fstatfs
	getdents64 readlink readlinkat getcwd chdir umask
	mkdir mkdirat unlink unlinkat rename renameat renameat2 link linkat
	chmod fchmod fchmodat chown fchown fchownat utimensat flock fsync fdatasync fallocate ftruncate
	listxattr flistxattr getxattr fgetxattr setxattr fsetxattr copy_file_range sendfile
	inotify_init1 inotify_add_watch inotify_rm_watch

	socket bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
	sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg

	getuid geteuid getgid getegid getgroups getppid getrlimit prlimit64 getrusage sysinfo uname capget
	getrandom wait4 waitid pidfd_open pidfd_send_signal`

// Needed reports whether nothing filters the process's system calls yet: a unit, or a
// container's profile, has done it otherwise.
func Needed() bool {
	status, err := os.ReadFile("/proc/thread-self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t0\n")
}

// Here puts the filter on every thread of the process. What is not in the list fails with
// EPERM, and the kernel's log has it, but the process lives: a call that was forgotten, or
// that a new kernel's Go falls back from, is no reason to leave a host unwatched. clone makes
// threads and no processes, and clone3 is not there, as on kernels before it; its
// arguments are beyond a filter's sight.
func Here() error {
	here, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	var known []string
	for _, name := range strings.Fields(calls) {
		if _, ok := here.SyscallNames[name]; ok {
			known = append(known, name)
		}
	}
	filter := seccomp.Filter{
		NoNewPrivs: true, // else it takes CAP_SYS_ADMIN, which picket may not have
		Flag:       seccomp.FilterFlagTSync | seccomp.FilterFlagLog,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno, // EPERM
			Syscalls: []seccomp.SyscallGroup{
				{Names: known, Action: seccomp.ActionAllow},
				{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)},
				{NamesWithCondtions: []seccomp.NameWithConditions{{Name: "clone",
					Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsSet,
						Value: unix.CLONE_THREAD}}}},
					Action: seccomp.ActionAllow},
			},
		},
	}
	// The right to filter is that of the thread that asked for no new ones.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := seccomp.LoadFilter(filter); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}
