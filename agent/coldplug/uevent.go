package coldplug

import (
	"bytes"
	"strings"
)

// Uevent is what the kernel says when a device comes, goes or changes
// (lib/kobject_uevent.c).
type Uevent struct {
	Action    string // "add", "remove", "change", "bind", …
	Path      string // below /sys
	Subsystem string
	Modalias  string
}

// ParseUevent decodes a message of the kernel; ok is false for anything else, for
// instance udev's own messages.
func ParseUevent(message []byte) (event Uevent, ok bool) {
	head, rest, _ := bytes.Cut(message, []byte{0})

	action, device, ok := strings.Cut(string(head), "@")
	if !ok || action == "" || !strings.HasPrefix(device, "/") {
		return Uevent{}, false
	}

	event = Uevent{Action: action, Path: device}

	for field := range bytes.SplitSeq(rest, []byte{0}) {
		name, value, _ := strings.Cut(string(field), "=")

		switch name {
		case "SUBSYSTEM":
			event.Subsystem = value
		case "MODALIAS":
			event.Modalias = value
		}
	}

	return event, true
}
