//go:build e2e && linux

package main_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"vetting/agent/hostmode"
	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// installed is a machine that runs a system of its own, with our agent installed
// below root by the line that the appliance prints. Its reboot is told to reboots:
// the power button of the machine then stands for it.
type installed struct {
	subject

	station *lab.Station
	root    string
	reboots chan core.MAC
}

// vetInstalled installs the agent on a running system, approves its key, starts a
// run, and has the machine reboot into the network because the appliance says so.
func vetInstalled(s subject) core.RunID {
	s.t.Helper()

	in := &installed{subject: s, root: s.t.TempDir(), reboots: make(chan core.MAC, 1)}
	fingerprint := in.install()

	stop := in.serve()
	id := in.approve(fingerprint)

	stop()
	s.expectItself()

	run, err := s.rack.API.Vet(s.ctx, s.MAC, profile, scale)
	if err != nil {
		s.t.Fatal(err)
	}

	stop = in.serve() // so that its next heartbeat is now
	defer stop()

	select {
	case mac := <-in.reboots:
		s.t.Logf("%s with key %s was told to reboot from the network by %s", s.Name, id, mac)
	case <-s.ctx.Done():
		s.t.Fatal("the installed machine was not told to reboot")
	}

	s.powerOn()

	return run.ID
}

// install pastes the appliance's line on the machine, with another root so that
// nothing of this very system changes, and returns the fingerprint that is to be
// compared.
func (in *installed) install() string {
	in.t.Helper()

	line := regexp.MustCompile(`(?m)^  (curl -fsSk .*10\.77\.0\.1/register/quick\.sh.*)$`).FindStringSubmatch(in.rack.Appliance.Process().Output.String())
	if line == nil {
		in.t.Fatal("the appliance prints no line to paste")
	}

	var err error
	if in.station, err = in.rack.Station("installed", netip.MustParsePrefix("10.77.0.8/24")); err != nil {
		in.t.Fatal(err)
	}

	process, err := in.station.Start(in.ctx, lab.Command{
		Program: "sh", Args: []string{"-c", strings.Replace(line[1], "sudo sh", "sh", 1)}, Env: []string{"DESTDIR=" + in.root},
	})
	if err != nil {
		in.t.Fatal(err)
	}

	if err := process.Wait(in.ctx); err != nil {
		in.t.Fatalf("%v:\n%s", err, process.Output.String())
	}

	return regexp.MustCompile(`SHA256:\S+`).FindString(process.Output.String())
}

// serve runs the agent's service as it was installed, but for what it would do to
// this system.
func (in *installed) serve() (stop func()) {
	in.t.Helper()

	config, err := hostmode.ReadConfig(filepath.Join(in.root, hostmode.ConfigFile))
	if err != nil {
		in.t.Fatal(err)
	}

	key, err := hostmode.LoadKey(filepath.Join(in.root, hostmode.StateDir), rand.Reader)
	if err != nil {
		in.t.Fatal(err)
	}

	service := hostmode.Service{
		Config: config, Key: key, Version: "e2e", BootID: "installed-boot", Hostname: in.Name,
		Uptime:    func() time.Duration { return time.Hour },
		Addresses: func(context.Context) (core.MAC, []core.MAC, error) { return core.MAC(in.MAC), nil, nil },
		Busy:      func() string { return "" },
		Reboot: func(ctx context.Context, mac core.MAC) error {
			in.reboots <- mac
			<-ctx.Done()

			return nil
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Dial: in.station.Dial,
	}

	ctx, cancel := context.WithCancel(in.ctx)
	ended := make(chan error, 1)

	go func() { ended <- service.Run(ctx) }()

	return func() {
		cancel()

		if err := <-ended; err != nil {
			in.t.Error(err)
		}
	}
}

// approve waits for the machine's key, compares it, and lets it be obeyed.
func (in *installed) approve(fingerprint string) (id string) {
	in.t.Helper()

	for id == "" {
		keys, err := in.rack.API.HostKeys(in.ctx)
		if err != nil {
			in.t.Fatal(err)
		}

		for _, key := range keys {
			if string(key.Host) == in.MAC && key.State == core.HostKeyPending && key.Fingerprint == fingerprint {
				id = key.ID
			}
		}

		select {
		case <-time.After(50 * time.Millisecond):
		case <-in.ctx.Done():
			in.t.Fatalf("no key with the fingerprint %s: %+v", fingerprint, keys)
		}
	}

	if err := in.rack.API.ApproveHostKey(in.ctx, id); err != nil {
		in.t.Fatal(err)
	}

	if err := in.rack.API.SetPower(in.ctx, in.MAC, core.PowerAgent); err != nil {
		in.t.Fatal(err)
	}

	return id
}
