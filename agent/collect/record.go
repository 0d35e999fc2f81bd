package collect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/probe"
	"vetting/firmware/inventory"
)

// Source is the machine to record. All fields are set.
type Source struct {
	Root  fs.FS
	Bus   disk.Bus
	Ports Drivers
	BMC   ipmi.BMC
	Kmsg  func() ([]byte, error)
}

// Drivers are the network drivers of the machine.
type Drivers interface {
	probe.Ports

	Counters(name string) (map[string]uint64, error)
}

// Files are the files of a recording, by name.
type Files map[string][]byte

// Record looks at everything once, and changes nothing. What cannot be read is
// listed in the recording (see Unread); an error means that there is none.
func Record(ctx context.Context, from Source) (Files, error) {
	w := &walker{from: from.Root, to: NewTree()}
	if err := errors.Join(w.walk(ctx, rules()), w.modaliases(ctx)); err != nil {
		return nil, err
	}

	hideSecrets(w.to)

	files := Files{}

	var disks, bmc bytes.Buffer

	w.disks(from.Bus, &disks)

	if err := ipmi.Survey(ipmi.NewRecorder(from.BMC, &bmc)); err != nil && !errors.Is(err, ipmi.ErrAbsent) {
		w.unread = append(w.unread, "BMC: "+err.Error())
	}

	if bmc.Len() > 0 && !bytes.Contains(bmc.Bytes(), []byte(ipmi.ErrAbsent.Error())) {
		files[bmcFile] = bmc.Bytes()
	}

	ports, err := json.MarshalIndent(portAnswers(w.to, from.Ports), "", "\t")
	if err != nil {
		return nil, fmt.Errorf("recording network ports: %w", err)
	}

	kmsg, err := from.Kmsg()
	if err != nil {
		w.unread = append(w.unread, "kernel log: "+err.Error())
	}

	var tree bytes.Buffer
	if err := w.to.WriteText(&tree); err != nil {
		return nil, fmt.Errorf("recording the file system: %w", err)
	}

	files[treeFile], files[portsFile] = tree.Bytes(), append(ports, '\n')
	files[originFile] = []byte("recorded: by vetting-agent collect on this machine itself, on its running system.\n")

	for name, content := range map[string][]byte{disksFile: disks.Bytes(), kmsgFile: kmsg, unreadFile: []byte(strings.Join(w.unread, "\n"))} {
		if len(content) > 0 {
			files[name] = content
		}
	}

	return files, nil
}

// Unread lists what could not be read, a line each.
func (f Files) Unread() []string {
	text := strings.TrimSpace(string(f[unreadFile]))
	if text == "" {
		return nil
	}

	return strings.Split(text, "\n")
}

// disks records what each disk answers to every question that we have.
func (w *walker) disks(bus disk.Bus, out *bytes.Buffer) {
	recorder := disk.NewRecorder(bus, out)

	entries, err := fs.ReadDir(w.to, "sys/block")
	if err != nil {
		return
	}

	for _, entry := range entries {
		target, err := fs.ReadLink(w.to, path.Join("sys/block", entry.Name()))
		if err != nil || !speaks(entry.Name(), target) {
			continue
		}

		if err := disk.Survey(recorder, entry.Name()); err != nil {
			w.unread = append(w.unread, "disk "+entry.Name()+": "+err.Error())
		}
	}
}

// speaks reports whether a block device is a disk with commands of its own:
// neither made by the kernel out of others, nor one that only reads and writes.
func speaks(name, target string) bool {
	if strings.HasPrefix(name, "nvme") {
		return !regexp.MustCompile(`^nvme\d+c\d+n\d+$`).MatchString(name) // a path of multipath, hidden
	}

	return strings.HasPrefix(name, "sd") && !strings.Contains(target, "/virtual/")
}

func portAnswers(root fs.FS, drivers Drivers) Ports {
	const devices = "sys/class/net"

	ports := Ports{}

	entries, err := fs.ReadDir(root, devices)
	if err != nil {
		return ports
	}

	for _, entry := range entries {
		name := entry.Name()
		if _, err := fs.ReadLink(root, path.Join(devices, name, "device")); err != nil {
			continue // not hardware
		}

		var answer PortAnswer

		answer.Port, err = drivers.Port(name)
		if err != nil {
			answer.Error = err.Error()
		}

		if counters, err := drivers.Counters(name); err == nil {
			answer.Counters = counters
		}

		ports[name] = answer
	}

	return ports
}

// hideSecrets takes passwords, tokens and keys out of the kernel's command line,
// whether or not the recording is scrubbed.
func hideSecrets(root *Tree) {
	const name = "proc/cmdline"

	text, err := root.ReadFile(name)
	if err != nil {
		return
	}

	secret := regexp.MustCompile(`(?i)(\S*(?:pass|secret|token|key|auth|cred)[^\s=]*=)\S+`)
	_ = root.Put(name, secret.ReplaceAll(text, []byte("${1}hidden")))
}

// FolderName names a recording after its machine: vendor, model and BIOS version
// as far as the firmware tells them, in lower case.
func (f Files) FolderName() string {
	root, err := ParseTree(bytes.NewReader(f[treeFile]))
	if err != nil {
		return unnamed
	}

	tables, _ := inventory.ReadSMBIOS(root) //nolint:errcheck // what could be decoded is enough for a name
	system, board := inventory.System(tables), inventory.Board(tables)
	vendor, model := system.Manufacturer, system.Product

	if model == "" {
		vendor, model = board.Manufacturer, board.Product
	}

	words := slices.DeleteFunc([]string{first(vendor), model, inventory.BIOS(root, tables).Version}, func(s string) bool { return s == "" })

	name := regexp.MustCompile(`[^a-z0-9.]+`).ReplaceAllString(strings.ToLower(strings.Join(words, "-")), "-")
	if name = strings.Trim(name, "-."); name == "" {
		return unnamed
	}

	return name[:min(len(name), 80)]
}

const unnamed = "unnamed-machine"

// first is the first word of a maker's name: "Dell Inc." is dell.
func first(vendor string) string {
	word, _, _ := strings.Cut(vendor, " ")

	return strings.TrimRight(word, ",")
}
