//go:build e2e && linux

package lab_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// The appliance on a VLAN of its card, with a machine that boots from it through a switch.
// The kernels at hand have no VLANs: the appliance runs in a virtual machine, on Debian's
// kernel as it is in the boot image. Its port is a trunk: what is on the wire there is
// tagged. The machine is on an access port, as machines are.

const (
	vlanID    = 42
	vlanCard  = "vlan42"
	vlanGuest = "52:54:00:7e:57:42"
)

func TestMain(m *testing.M) {
	if os.Getpid() == 1 {
		fmt.Println("guest:", applianceOnAVLAN())
		time.Sleep(time.Second)

		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}

	os.Exit(m.Run())
}

// TestAMachineBootsFromAVLAN takes two virtual machines at a time, and is a campaign of make
// endure.
func TestAMachineBootsFromAVLAN(t *testing.T) {
	if os.Getenv("VLAN_OF_HOSTS") == "" {
		t.Skip("not asked for")
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()

	segment, err := lab.OpenSegment()
	if err != nil {
		t.Fatal(err)
	}

	defer func() {
		if err := segment.Close(); err != nil {
			t.Error(err)
		}
	}()

	blobs := filepath.Join("..", "..", "..", "initramfs", "blobs")
	trunk := &counted{}

	appliance, err := segment.Guest(lab.Machine{
		Name: "appliance", MAC: "52:54:00:77:00:01", MiB: 2560, CPUs: 2, Wire: &lab.Wire{Note: trunk.note},
		Direct: &lab.Direct{Kernel: filepath.Join(blobs, "kernel"), Initrd: applianceInitrd(t, blobs), Cmdline: "console=ttyS0 quiet loglevel=3 panic=-1"},
	})
	if err != nil {
		t.Fatal(err)
	}

	client, err := segment.Guest(lab.Machine{Name: "client", Firmware: lab.UEFI, MAC: vlanGuest, MiB: 768, CPUs: 1, Wire: &lab.Wire{VLAN: vlanID}})
	if err != nil {
		t.Fatal(err)
	}

	defer client.PowerOff()
	defer appliance.PowerOff()

	serves, err := appliance.PowerOn(ctx)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := serves.Output.Await(ctx, "guest waits for its client"); err != nil {
		t.Fatal(err)
	}

	boots, err := client.PowerOn(ctx)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := serves.Output.Await(ctx, "guest: <nil>"); err != nil {
		t.Fatalf("%v\nthe client said:\n%s", err, boots.Output.Tail(20))
	}

	plain, tagged, others := trunk.look()
	t.Logf("the client's agent was heard %s after power-on; on the trunk %d frames with the tag %d, %d of them DHCP, TFTP and HTTP, %d without",
		time.Since(boots.Started).Round(100*time.Millisecond), tagged, vlanID, others, plain)

	if tagged < 10_000 || others < 100 || trunk.leaked > 0 {
		t.Errorf("DHCP or boot services without a tag: %d frames", trunk.leaked)
	}
}

// counted counts what is on a trunk.
type counted struct {
	mu     sync.Mutex // guards the rest
	plain  int        // without a tag
	tagged int
	ours   int // of them, of the boot services
	leaked int // of the boot services, without a tag
}

func (c *counted) note(f lab.Frame, _ bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if len(f.Data) < 60 {
		return
	}

	inner, with := f.Data[14:], false
	kind := binary.BigEndian.Uint16(f.Data[12:])

	if kind == 0x8100 && binary.BigEndian.Uint16(f.Data[14:])&0xfff == vlanID {
		kind, inner, with = binary.BigEndian.Uint16(f.Data[16:]), f.Data[18:], true
		c.tagged++
	} else {
		c.plain++
	}

	if kind != 0x0800 {
		return
	}

	head := int(inner[0]&15) * 4
	from, to := binary.BigEndian.Uint16(inner[head:]), binary.BigEndian.Uint16(inner[head+2:])

	for _, port := range []uint16{67, 69, 80, 443} {
		switch {
		case from != port && to != port:
		case with:
			c.ours++
		default:
			c.leaked++
		}
	}
}

func (c *counted) look() (plain, tagged, ours int) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.plain, c.tagged, c.ours
}

// applianceInitrd is an archive of the modules of the boot image, this program as the first
// process, and the appliance.
func applianceInitrd(t *testing.T, blobs string) (path string) {
	t.Helper()

	dir := t.TempDir()
	root := filepath.Join(dir, "root")

	for _, name := range []string{"proc", "sys", "dev", "tmp", "run", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-ldflags", "-s -w", "-tags", "e2e", "-o", filepath.Join(root, "init"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the first process: %v\n%s", err, out)
	}

	path = filepath.Join(dir, "initrd")
	pack := exec.CommandContext(t.Context(), "sh", "-c", `cp "$1" "$2" && cp ../../../build/vetting "$3/vetting" && cd "$3" && find . | busybox cpio -o -H newc >>"$2"`,
		"sh", filepath.Join(blobs, "modules.cpio"), path, root)

	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("packing: %v\n%s", err, out)
	}

	return path
}

// applianceOnAVLAN is the virtual machine's first process. It ends with the first word of the
// client's agent.
func applianceOnAVLAN() error {
	err := errors.Join(
		unix.Mount("proc", "/proc", "proc", 0, ""), unix.Mount("sysfs", "/sys", "sysfs", 0, ""),
		unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, ""), unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""),
		loadModules("virtio_net", "8021q", "af_packet"), layVLAN(),
		os.WriteFile("/etc/vetting.yaml", []byte("version: 1\ndata_dir: /tmp/data\nconsole: {listen: 127.0.0.1:8443}\nnetboot: {interface: "+vlanCard+", subnet: 10.77.0.1/24}\n"), 0o600),
	)
	if err != nil {
		return err
	}

	if err := os.Setenv("HOME", "/tmp"); err != nil {
		return err
	}

	serve := exec.Command("/vetting", "serve", "--config", "/etc/vetting.yaml")
	said := &heard{ready: make(chan struct{})}
	serve.Stdout, serve.Stderr = said, said

	if err := serve.Start(); err != nil {
		return err
	}

	select {
	case <-said.ready:
	case <-time.After(3 * time.Minute):
		return errors.New("the appliance does not serve")
	}

	token, err := exec.Command("/vetting", "token", "create", "--config", "/etc/vetting.yaml", "--scope", "operate").Output()
	if err != nil {
		return fmt.Errorf("making a token: %w", err)
	}

	for word := range strings.FieldsSeq(string(token)) {
		if strings.HasPrefix(word, "vet_") {
			err = os.Setenv("VETTING_TOKEN", word)
		}
	}

	_, errAdd := ask("host", "add", vlanGuest, "client")
	_, errRun := ask("run", "start", vlanGuest, "--profile", "quick")

	if err := errors.Join(err, errAdd, errRun); err != nil {
		return err
	}

	fmt.Println("guest waits for its client")

	for told := 0; ; time.Sleep(2 * time.Second) {
		trace, err := ask("host", "trace", vlanGuest, "-o", "json")
		if err != nil {
			continue // nothing was seen of it yet
		}

		var seen core.BootTrace
		if err := json.Unmarshal(trace, &seen); err != nil {
			return err
		}

		for ; told < len(seen.Steps); told++ {
			fmt.Println("step:", seen.Steps[told].Client.Kind, seen.Steps[told].Kind, seen.Steps[told].Detail)

			if seen.Steps[told].Kind == "hello" {
				return nil
			}
		}
	}
}

// heard passes on what the appliance says, and waits for its last word of the start.
type heard struct {
	ready chan struct{}
	once  sync.Once
}

func (h *heard) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("ready: serving")) {
		h.once.Do(func() { close(h.ready) })
	}

	return os.Stdout.Write(p)
}

func ask(args ...string) ([]byte, error) {
	out, err := exec.Command("/vetting", append(args, "--config", "/etc/vetting.yaml")...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out, fmt.Errorf("vetting %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}

	return out, err
}

// loadModules loads kernel modules with what they need; one that there is not is built in.
func loadModules(names ...string) error {
	var release unix.Utsname
	if err := unix.Uname(&release); err != nil {
		return err
	}

	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(release.Release[:]))

	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}

	needs := map[string][]string{}
	paths := map[string]string{}

	for line := range strings.Lines(string(text)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		needs[path] = strings.Fields(rest)
		name, _, _ := strings.Cut(filepath.Base(path), ".ko")
		paths[strings.ReplaceAll(name, "-", "_")] = path
	}

	loaded := map[string]bool{}

	var load func(path string) error

	load = func(path string) error {
		if path == "" || loaded[path] {
			return nil
		}

		loaded[path] = true

		for _, need := range needs[path] {
			if err := load(need); err != nil {
				return err
			}
		}

		file, err := os.Open(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		defer file.Close()

		const compressed = 4 // MODULE_INIT_COMPRESSED_FILE of linux/module.h

		if err := unix.FinitModule(int(file.Fd()), "", compressed); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("loading %s: %w", path, err)
		}

		return nil
	}

	for _, name := range names {
		err = errors.Join(err, load(paths[name]))
	}

	return err
}

// layVLAN makes a VLAN of the first card.
func layVLAN() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}

	for _, link := range links {
		if link.Attrs().EncapType != "ether" {
			_ = netlink.LinkSetUp(link)

			continue
		}

		vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: vlanCard, ParentIndex: link.Attrs().Index}, VlanId: vlanID}

		if err := errors.Join(netlink.LinkSetUp(link), netlink.LinkAdd(vlan)); err != nil {
			return fmt.Errorf("making a VLAN of %s: %w", link.Attrs().Name, err)
		}

		return netlink.LinkSetUp(vlan)
	}

	return errors.New("the virtual machine has no card")
}
