// SPDX-License-Identifier: MIT

package host

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// poll is the interval of looks at the files if the kernel gives no notice.
const poll = 5 * time.Second

// changesOf are the changes of a directory that may change its files.
const changesOf = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_CLOSE_WRITE

// watchFiles reports changes of the files until ctx ends.
func watchFiles(ctx context.Context, list []source, news chan<- struct{}) {
	changes := make(chan struct{}, 1)
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		f := os.NewFile(uintptr(fd), "inotify")
		defer f.Close()
		stop := context.AfterFunc(ctx, func() { f.Close() })
		defer stop()
		go func() {
			for buffer := make([]byte, 4096); ; say(changes) {
				if _, err := f.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
	watchPlaces(fd, list)
	last := stamps(list)
	for {
		var tick <-chan time.Time
		if err != nil { // fs.inotify.max_user_instances is used up
			tick = time.After(poll)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-changes:
			time.Sleep(settle)
			watchPlaces(fd, list) // directories made meanwhile
		}
		if now := stamps(list); !maps.Equal(now, last) {
			last = now
			say(news)
		}
	}
}

// watchPlaces watches the directories of the files or, if one is missing, the nearest
// that exists. It watches resolv.conf itself too: that is often a link or a mount.
func watchPlaces(fd int, list []source) {
	if fd < 0 {
		return
	}
	for _, s := range list {
		place := filepath.Dir(s.files)
		for {
			_, err := unix.InotifyAddWatch(fd, place, changesOf|unix.IN_ONLYDIR)
			if err == nil || len(place) <= len("/etc") {
				break // a directory that cannot be watched counts as missing
			}
			place = filepath.Dir(place)
		}
	}
	_, _ = unix.InotifyAddWatch(fd, "/etc/resolv.conf", unix.IN_CLOSE_WRITE)
}

// A stamp changes with a file.
type stamp struct {
	at   time.Time
	size int64
}

func stamps(list []source) map[string]stamp {
	out := make(map[string]stamp)
	for _, s := range list {
		for _, file := range matching(s.files) {
			if info, err := os.Stat(file); err == nil {
				out[file] = stamp{info.ModTime(), info.Size()}
			}
		}
	}
	return out
}
