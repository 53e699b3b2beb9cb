// SPDX-License-Identifier: MIT

package journal

// Kinds of notices with an entry in the message catalog. The other kinds are those
// of event.Event.
const (
	Start         = "start"          // rules are in and the group is bound
	Stop          = "stop"           // an orderly end
	Reload        = "reload"         // a new configuration is in force
	ReloadRefused = "reload-refused" // an invalid configuration; the old one stays in force
	Restored      = "restored"       // the table was changed or removed, and is back
	StateAside    = "state-aside"    // the state file was unusable
)

// messageIDs are as fixed as the names: people's scripts and units/picket.catalog
// refer to them. Each is from systemd-id128 new.
var messageIDs = [...]struct{ kind, id string }{
	{"probe", "5c0994a5318f4cc88a39917cf1beb730"},
	{"pattern", "61c9e9290e49449585737d997bdfedd4"},
	{"block", "7b17c829bf6546549b895bf3159f3628"},
	{"unblock", "9870db0a4b6d42f5bd9464ca98a68ee4"},
	{"expire", "139821efe2b044d092b60fcdd2b5d0a6"},
	{"ignore", "5ae4a6bcb1e4423ebee8ed09f3486a19"},
	{"lost", "70756dbbdf274a03bec7d4796aba6252"},
	{"infection", "7a2b3ed0bef442f8bd7ffcb4adffae6f"},
	{"trial", "e245e75ed62344f18a0739befc333e29"},
	{"notice", "012bac31ee64487d89714814d5262370"},
	{Start, "1f904c544c414affa5accbb63a176e94"},
	{Stop, "341624364e8e49088f5e13772ad98326"},
	{Reload, "d842e71b7ebb4394befd56da81071b12"},
	{ReloadRefused, "e9c4a8976e06468183906cf48aabaaea"},
	{Restored, "6c59d2d3b218415c89679103fe2ec1aa"},
	{StateAside, "34b7016081ab466a838b9f222190c2f2"},
}

// MessageID returns the MESSAGE_ID of a kind of event or notice, or "" if it has
// none.
func MessageID(kind string) string {
	for _, m := range messageIDs {
		if m.kind == kind {
			return m.id
		}
	}
	return ""
}
