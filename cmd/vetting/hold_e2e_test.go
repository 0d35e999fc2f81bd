//go:build e2e && linux

package main_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
	"vetting/core/sshkey"
	"vetting/ui/view"
)

// desk is where an operator sits: beside the appliance, and not on the test
// network.
type desk struct {
	*lab.Namespace

	subject
	dir string
	env []string
	key core.HoldKey
}

// looksInside opens a shell in a held machine by the line that the console
// prints, from the desk; with no other key; and not once the machine is released.
func looksInside(s subject, id core.RunID) {
	run, err := s.rack.API.Await(s.ctx, id, func(run route.Run) bool { return run.Over || run.Hold != nil })
	if err != nil || run.Hold == nil {
		s.t.Fatalf("no door was opened: %v %+v", err, run)
	}

	d := sitDown(s)
	d.isApart(run.Hold.Addr)

	if d.key, err = s.rack.API.HoldKey(s.ctx, id); err != nil {
		s.t.Fatal(err)
	}

	line := view.SSHLine(&d.key)
	d.keep(d.key.FileName, d.key.PrivateKey)
	d.keep(d.key.Alias+".known_hosts", d.key.KnownHosts+"\n")
	d.keep("other.key", sshkey.Private(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "other", 7))

	const ask = ` 'cat /proc/cmdline; echo $((40+2))'`

	d.says(line+ask, 0, "ras=cec_disable", "42")
	d.says(line+" 'vetting-agent stress memory --memory-mib 16'", 0, "node0", "Memory: PASS after")
	d.says(strings.Replace(line, "-i "+d.key.FileName, "-i other.key", 1)+ask, 255, "Permission denied (publickey)")
	d.says("vetting hold ssh "+string(id)+ask, 1, "hold/key-taken")
	d.says("vetting hold ssh --key "+d.key.FileName+" "+string(id)+ask, 0, "42")
	d.says("vetting hold release "+string(id), 0, "Released")
	d.says(line+ask, 255, "hold/wrong-state")
	d.closes(run.Hold.Addr)
}

func sitDown(s subject) *desk {
	space, err := s.rack.Desk(s.rack.Appliance.Station)
	if err != nil {
		s.t.Fatal(err)
	}

	token, err := s.rack.Appliance.Token(s.ctx, route.Operate)
	if err != nil {
		s.t.Fatal(err)
	}

	bin, err := filepath.Abs("../../build")
	if err != nil {
		s.t.Fatal(err)
	}

	d := &desk{Namespace: space, subject: s, dir: s.t.TempDir()}
	d.env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + d.dir, "XDG_STATE_HOME=" + d.dir, "LC_ALL=C",
		"VETTING_SERVER=https://" + d.console(), "VETTING_TOKEN=" + token, "VETTING_CERT=" + filepath.Join(s.rack.Appliance.DataDir(), "console.crt"),
	}

	return d
}

func (d *desk) console() string {
	return net.JoinHostPort(lab.OfficeAddress, fmt.Sprint(d.rack.Appliance.Port()))
}

func (d *desk) keep(name, content string) {
	d.t.Helper()

	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// says runs a line of the shell at the desk and looks for words in what it says.
func (d *desk) says(line string, code int, want ...string) {
	d.t.Helper()

	process, err := d.Start(d.ctx, lab.Command{Program: "sh", Args: []string{"-c", line}, Env: d.env, Dir: d.dir})
	if err != nil {
		d.t.Fatal(err)
	}

	err = process.Wait(d.ctx)
	said := process.Output.String()

	if code == 0 && err != nil || code != 0 && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("exit status %d", code))) {
		d.t.Errorf("%s: ended with %v, want code %d:\n%s", line, err, code, said)
	}

	for _, word := range want {
		if !strings.Contains(said, word) {
			d.t.Errorf("%s: does not say %q:\n%s", line, word, said)
		}
	}
}

// isApart proves that nothing leads from the desk to the test network, even with a
// route by way of the appliance, and nothing from the test network to the console.
func (d *desk) isApart(host netip.Addr) {
	d.t.Helper()

	if d.reaches(d.Namespace, net.JoinHostPort(host.String(), "22")) {
		d.t.Error("the desk reaches the held machine")
	}

	if err := d.Route(netip.MustParsePrefix(lab.Address), netip.MustParseAddr(lab.OfficeAddress)); err != nil {
		d.t.Fatal(err)
	}

	probe, err := d.rack.Station("probe", netip.MustParsePrefix("10.77.0.9/24"))
	if err != nil {
		d.t.Fatal(err)
	}

	if err := probe.Route(netip.MustParsePrefix(lab.OfficeAddress+"/32"), netip.MustParseAddr("10.77.0.1")); err != nil {
		d.t.Fatal(err)
	}

	port := fmt.Sprint(d.rack.Appliance.Port())

	for name, way := range map[string]struct {
		from *lab.Namespace
		to   string
		want bool
	}{
		"the desk, over the appliance, the held machine":       {d.Namespace, net.JoinHostPort(host.String(), "22"), false},
		"the desk, over the appliance, the agent API":          {d.Namespace, "10.77.0.1:443", false},
		"the desk the console":                                 {d.Namespace, d.console(), true},
		"a machine on the test network the agent API":          {probe.Namespace, "10.77.0.1:443", true},
		"a machine on the test network the console":            {probe.Namespace, "10.77.0.1:" + port, false},
		"a machine on the test network the console's own side": {probe.Namespace, d.console(), false},
	} {
		if got := d.reaches(way.from, way.to); got != way.want {
			d.t.Errorf("%s: reached is %v", name, got)
		}
	}
}

// reaches reports whether somebody answers at an address: with TLS, or, at ssh's
// port, at all.
func (d *desk) reaches(from *lab.Namespace, to string) bool {
	ctx, cancel := context.WithTimeout(d.ctx, 3*time.Second)
	defer cancel()

	conn, err := from.Dial(ctx, "tcp4", to)
	if err != nil {
		return false
	}
	defer conn.Close()

	if strings.HasSuffix(to, ":22") {
		return true
	}

	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

// closes waits until nobody answers ssh on the machine any more.
func (d *desk) closes(host netip.Addr) {
	d.t.Helper()

	for d.reaches(d.rack.Appliance.Station.Namespace, net.JoinHostPort(host.String(), "22")) {
		select {
		case <-time.After(200 * time.Millisecond):
		case <-d.ctx.Done():
			d.t.Fatal("the SSH server of the released machine still listens")
		}
	}
}
