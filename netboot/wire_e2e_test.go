//go:build e2e

package netboot_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot"
	"vetting/netboot/uki/ukitest"
)

// The appliance runs in a network namespace of its own, as a process of its own
// (this test binary again), so that it can be killed. Strangers' programs run in
// other namespaces, and a bridge in one more joins them all.

const (
	serverEnv    = "NETBOOT_E2E_SERVER"
	selfAddr     = "10.77.0.1"
	knownMAC     = "52:54:00:00:00:01"
	localMAC     = "52:54:00:00:00:02"
	otherMAC     = "52:54:00:00:00:99"
	applianceMAC = "52:54:00:77:00:01"
	rivalMAC     = "52:54:00:00:00:66"
	rivalAddr    = "10.77.0.9"

	soon = 10 * time.Second       // for what takes a moment, on a machine under load
	peek = 600 * time.Millisecond // for how long the appliance searches in tests
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(serverEnv); spec != "" {
		os.Exit(serve(spec))
	}

	os.Exit(m.Run())
}

// order tells the child process what to serve.
type order struct {
	Interface string
	Self      string            // its address; empty: selfAddr
	Leases    string            // file
	Hosts     map[string]string // MAC → action
	Search    time.Duration
	Own       bool // --i-own-this-network
	Mode      netboot.Mode
	Relayed   []netboot.Network
	Reserved  map[core.MAC]netip.Addr
	Files     string // folder of blobs; empty: made-up ones
}

// serve is the child process.
func serve(spec string) int {
	var o order
	if err := json.Unmarshal([]byte(spec), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	out := &reporter{}
	server, err := netboot.New(netboot.Config{
		Interface: o.Interface, Prefix: netip.MustParsePrefix(cmp.Or(o.Self, selfAddr) + "/24"), Files: files(o), Stub: ukitest.Stub(), ImageID: "feedc0de",
		Mode: o.Mode, Relayed: o.Relayed, Reserved: o.Reserved, SearchTime: o.Search, OwnNetwork: o.Own, Booter: list(o.Hosts), Leases: &leaseFile{path: o.Leases}, Witness: out,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 2
	}

	go func() {
		select {
		case <-server.Ready():
			out.Witness(core.BootStep{Kind: "ready"})
		case <-ctx.Done():
		}
	}()

	if err := server.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)

		return 1
	}

	return 0
}

func files(o order) map[string][]byte {
	all := map[string][]byte{}

	for _, name := range []string{"vmlinuz", "base.cpio.zst", "modules.cpio", "undionly.kpxe", "ipxe.pxe", "snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "ipxe-arm64.efi"} {
		all[name] = bytes.Repeat([]byte(name+" "), 20_000)

		if o.Files != "" {
			source := name
			if name == "vmlinuz" {
				source = "kernel"
			}

			data, err := os.ReadFile(filepath.Join(o.Files, source))
			if err != nil {
				panic(err)
			}

			all[name] = data
		}
	}

	return all
}

// reporter writes what was seen to standard output.
type reporter struct{ mu sync.Mutex }

func (r *reporter) Witness(step core.BootStep) {
	r.mu.Lock()
	defer r.mu.Unlock()

	_ = json.NewEncoder(os.Stdout).Encode(step)
}

// list is a Booter that knows hosts by MAC.
type list map[string]string

func (l list) Decide(c core.BootClient) core.BootDecision {
	action, ok := l[string(c.MAC)]
	if !ok {
		return core.BootDecision{Action: core.BootIgnore}
	}

	return core.BootDecision{Action: core.BootAction(action), Host: c.MAC, Name: "bench", Run: "01RUN"}
}

func (l list) Arm(_ context.Context, mac core.MAC, _ netip.Addr) (string, error) {
	return "nonce" + strings.ReplaceAll(string(mac), ":", ""), nil
}

func (l list) Seed(_ context.Context, nonce string, _ netip.Addr, _ bool) ([]byte, error) {
	switch {
	case strings.HasPrefix(nonce, "nonce"):
		return []byte(`{"token":"secret"}`), nil
	case nonce == "old":
		return nil, core.ErrExpired
	default:
		return nil, core.ErrNotFound
	}
}

func (l list) SeedOf(context.Context, core.MAC, netip.Addr, bool) ([]byte, error) {
	return []byte(`{"token":"secret"}`), nil
}

// leaseFile keeps leases in a file.
type leaseFile struct {
	path string
	mu   sync.Mutex
	all  map[core.MAC]core.Lease
}

func (f *leaseFile) Leases(context.Context) ([]core.Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.all = map[core.MAC]core.Lease{}

	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, nil //nolint:nilerr // none yet
	}

	var list []core.Lease
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}

	for _, l := range list {
		f.all[l.MAC] = l
	}

	return list, nil
}

func (f *leaseFile) SaveLeases(_ context.Context, leases []core.Lease) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, l := range leases {
		f.all[l.MAC] = l
	}

	var list []core.Lease
	for _, l := range f.all {
		list = append(list, l)
	}

	data, err := json.Marshal(list)
	if err != nil {
		return err
	}

	file, err := os.Create(f.path)
	if err != nil {
		return err
	}

	_, err = file.Write(data)

	return errorsJoin(err, file.Sync(), file.Close())
}

func errorsJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

// wire is a switch with a cable to each station: the appliance's nb0, the
// client's c0, the rival's r0. Each station is a namespace.
type wire struct {
	t       *testing.T
	hub     string
	server  string
	client  string
	rival   string
	scratch string
}

func newWire(t *testing.T) *wire {
	t.Helper()

	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}

	id := fmt.Sprintf("nb%d%d", os.Getpid()%10000, time.Now().UnixNano()%1000)
	w := &wire{t: t, hub: id + "h", server: id + "s", client: id + "c", rival: id + "r", scratch: t.TempDir()}

	t.Cleanup(func() {
		for _, ns := range []string{w.server, w.client, w.rival, w.hub} {
			_ = exec.Command("ip", "netns", "del", ns).Run()
		}
	})

	for _, ns := range []string{w.server, w.client, w.rival, w.hub} {
		w.must("ip", "netns", "add", ns)
		w.must("ip", "-n", ns, "link", "set", "lo", "up")
	}

	w.must("ip", "-n", w.hub, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
	w.must("ip", "-n", w.hub, "link", "set", "br0", "up")
	w.lay("nb0", w.server, applianceMAC)
	w.lay("c0", w.client, knownMAC)
	w.lay("r0", w.rival, rivalMAC)

	return w
}

// lay lays a cable from the switch to a station. Its end at the switch is called
// port-NAME.
func (w *wire) lay(name, station, mac string) {
	w.t.Helper()
	w.must("ip", "link", "add", name, "address", mac, "netns", station, "type", "veth", "peer", "name", "port-"+name, "netns", w.hub)
	w.must("ip", "-n", w.hub, "link", "set", "port-"+name, "master", "br0", "up")
	w.must("ip", "-n", station, "link", "set", name, "up")
}

// unplug pulls a cable out of the switch, plug puts it in again.
func (w *wire) unplug(name string) { w.must("ip", "-n", w.hub, "link", "set", "port-"+name, "down") }
func (w *wire) plug(name string)   { w.must("ip", "-n", w.hub, "link", "set", "port-"+name, "up") }

// become gives the client another MAC address, and no address.
func (w *wire) become(mac string) {
	w.t.Helper()
	w.must("ip", "-n", w.client, "addr", "flush", "dev", "c0")
	w.must("ip", "-n", w.client, "link", "set", "c0", "down")
	w.must("ip", "-n", w.client, "link", "set", "c0", "address", mac)
	w.must("ip", "-n", w.client, "link", "set", "c0", "up")
}

// addresses lists the IPv4 addresses of the appliance's card.
func (w *wire) addresses() string {
	w.t.Helper()

	return w.must("ip", "-n", w.server, "-4", "-br", "addr", "show", "dev", "nb0")
}

// dnsmasq starts another DHCP server in the rival's namespace and returns what ends it.
func (w *wire) dnsmasq(args ...string) (stop func()) {
	w.t.Helper()
	w.must("ip", "-n", w.rival, "addr", "replace", rivalAddr+"/24", "dev", "r0")

	return w.daemon("IP range", append([]string{
		"-i", "r0", "--bind-interfaces", "--no-ping", "-F", "10.77.0.200,10.77.0.220", "--dhcp-boot=pxelinux.0", "--dhcp-authoritative",
		"--dhcp-leasefile=" + filepath.Join(w.scratch, "dnsmasq.leases"),
	}, args...)...)
}

// relay starts a relay agent in the rival's namespace.
func (w *wire) relay(agent, server string) { w.daemon("DHCP relay", "--dhcp-relay="+agent+","+server) }

// daemon starts dnsmasq in the rival's namespace and waits until it says that it
// is ready.
func (w *wire) daemon(ready string, args ...string) (stop func()) {
	w.t.Helper()

	cmd := exec.Command("ip", append([]string{
		"netns", "exec", w.rival, "dnsmasq", "-d", "-C", "/dev/null", "-p", "0", "--pid-file=",
	}, args...)...)

	said, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}

	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), ready) { //nolint:revive // until it serves
	}

	go func() { _, _ = io.Copy(io.Discard, said) }()

	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w.t.Cleanup(stop)

	return stop
}

func (w *wire) must(name string, args ...string) string {
	w.t.Helper()

	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}

	return string(out)
}

// try runs a program at the client's end.
func (w *wire) try(limit time.Duration, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()

	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", w.client, name}, args...)...)
	cmd.Dir = w.scratch
	out, err := cmd.CombinedOutput()

	return string(out), err
}

func (w *wire) run(name string, args ...string) string {
	w.t.Helper()

	out, err := w.try(time.Minute, name, args...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}

	return out
}

// appliance is the child process.
type appliance struct {
	cmd   *exec.Cmd
	log   *bytes.Buffer
	steps chan core.BootStep
	done  chan error
}

func (w *wire) start(o order) *appliance {
	w.t.Helper()

	return w.startAt(w.server, "nb0", o)
}

// startAt starts an appliance at another station.
func (w *wire) startAt(station, card string, o order) *appliance {
	w.t.Helper()

	if o.Interface == "" {
		o.Interface = card
	}

	if o.Leases == "" {
		o.Leases = filepath.Join(w.scratch, "leases.json")
	}

	if o.Search == 0 {
		o.Search = -1
	}

	spec, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}

	a := &appliance{
		cmd: exec.Command("ip", "netns", "exec", station, os.Args[0]), log: &bytes.Buffer{},
		steps: make(chan core.BootStep, 10_000), done: make(chan error, 1),
	}
	a.cmd.Env = append(os.Environ(), serverEnv+"="+string(spec))
	a.cmd.Stderr = a.log

	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}

	if err := a.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}

	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var step core.BootStep
			if json.Unmarshal(lines.Bytes(), &step) == nil {
				a.steps <- step
			}
		}

		close(a.steps)
		a.done <- a.cmd.Wait()
	}()

	w.t.Cleanup(func() {
		_ = a.cmd.Process.Kill()

		if w.t.Failed() {
			w.t.Logf("the appliance said:\n%s", a.log.String())
		}
	})

	return a
}

// await returns the next step of a kind, or fails after a while.
func (a *appliance) await(t *testing.T, kind string, limit time.Duration) core.BootStep {
	t.Helper()

	timeout := time.After(limit)

	for {
		select {
		case step, ok := <-a.steps:
			if !ok {
				t.Fatalf("the appliance ended before %q: %s", kind, a.log.String())
			}

			if step.Kind == kind {
				return step
			}
		case <-timeout:
			t.Fatalf("no %q within %s", kind, limit)
		}
	}
}

// lease asks for an address with busybox udhcpc and returns it, "" for none.
func (w *wire) lease(args ...string) string {
	w.t.Helper()

	script := filepath.Join(w.scratch, "udhcpc.sh")
	body := "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr flush dev $interface\nip addr add $ip/24 dev $interface\necho got $ip from $serverid siaddr $siaddr file $boot_file\n"

	if err := os.WriteFile(script, []byte(body), 0o755); err != nil {
		w.t.Fatal(err)
	}

	out, _ := w.try(20*time.Second, "busybox", append([]string{"udhcpc", "-i", "c0", "-f", "-q", "-n", "-t", "3", "-T", "1", "-s", script}, args...)...)

	_, rest, ok := strings.Cut(out, "got ")
	if !ok {
		return ""
	}

	return rest[:strings.IndexByte(rest, ' ')]
}
