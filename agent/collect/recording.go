package collect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/probe"
)

// The files of a recording. Only the tree must be there.
const (
	originFile = "origin"      // where it comes from: "recorded", "published" or "made" and a word about it
	treeFile   = "tree"        // of the file system, see ParseTree
	disksFile  = "disks.jsonl" // what disks answered, see disk.Exchange
	portsFile  = "ports.json"  // what network drivers answered
	bmcFile    = "bmc.jsonl"   // what the BMC answered, see ipmi.Exchange
	kmsgFile   = "kmsg"        // the kernel's log, as /dev/kmsg gives it: a record a line
	unreadFile = "unread"      // what could not be read, and why
)

// Recording is a machine as it was recorded. Root and Disks may be changed, which
// is how healthy machines become failing ones; each call of Open gives a fresh
// one.
type Recording struct {
	Name   string // of its folder: vendor-model-bios
	Origin string
	Root   *Tree
	Disks  *disk.Replay
	Ports  Ports
	BMC    *ipmi.Replay
	Kmsg   []byte
}

// Ports is what network drivers answered, by the port's name.
type Ports map[string]PortAnswer

// PortAnswer is what the driver of one port answered.
type PortAnswer struct {
	probe.Port

	Counters map[string]uint64 `json:"counters,omitempty"` // by the driver's own names
	Error    string            `json:"error,omitempty"`    // it answered nothing
}

// Port answers from the recording.
func (p Ports) Port(name string) (probe.Port, error) {
	answer, ok := p[name]

	switch {
	case !ok:
		return probe.Port{}, fmt.Errorf("replaying port %s: not recorded", name)
	case answer.Error != "":
		return probe.Port{}, fmt.Errorf("replaying port %s: %s", name, answer.Error)
	default:
		return answer.Port, nil
	}
}

// Counters answers from the recording.
func (p Ports) Counters(name string) (map[string]uint64, error) {
	answer, ok := p[name]
	if !ok || answer.Counters == nil {
		return nil, fmt.Errorf("replaying counters of port %s: not recorded", name)
	}

	return maps.Clone(answer.Counters), nil
}

// Machine is the recording as the probes look at it.
func (r *Recording) Machine() probe.Machine {
	return probe.Machine{Root: r.Root, Bus: r.Disks, Ports: r.Ports, BMC: r.BMC, Now: r.now}
}

// now is when the machine was recorded, by its own clock.
func (r *Recording) now() time.Time {
	text, err := r.Root.ReadFile("sys/class/rtc/rtc0/since_epoch")
	if err != nil {
		return time.Time{}
	}

	seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return time.Time{}
	}

	return time.Unix(seconds, 0)
}

// Open reads the recording in a folder.
func Open(files fs.FS, dir string) (*Recording, error) {
	r := &Recording{Name: path.Base(dir), Ports: Ports{}}
	texts := map[string][]byte{}

	for _, name := range []string{originFile, treeFile, disksFile, portsFile, bmcFile, kmsgFile} {
		text, err := fs.ReadFile(files, path.Join(dir, name))
		if err != nil && (name == treeFile || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("opening recording %s: %w", dir, err)
		}

		texts[name] = text
	}

	r.Origin, r.Kmsg = strings.TrimSpace(string(texts[originFile])), texts[kmsgFile]

	var treeErr, diskErr, portErr, bmcErr error

	r.Root, treeErr = ParseTree(bytes.NewReader(texts[treeFile]))
	r.Disks, diskErr = disk.NewReplay(bytes.NewReader(texts[disksFile]))

	r.BMC, bmcErr = ipmi.NewReplay(bytes.NewReader(texts[bmcFile]))

	if text := texts[portsFile]; text != nil {
		portErr = json.Unmarshal(text, &r.Ports)
	}

	if err := errors.Join(treeErr, diskErr, portErr, bmcErr); err != nil {
		return nil, fmt.Errorf("opening recording %s: %w", dir, err)
	}

	return r, nil
}
