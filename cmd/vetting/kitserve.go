package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/initramfs"
	"vetting/netboot/nic"
	"vetting/ui/lookup"
	"vetting/ui/qr"
	uitext "vetting/ui/text"
)

// consolePort is where a kit's console is.
const consolePort = "8443"

func (c *cli) kitServeCommand() *cobra.Command {
	return kitPart("serve", "Serve a network port from the stick; reads its job and orders from standard input and says on standard output how things stand", c.serveFromStick)
}

// stall is the appliance of the field kit that serves a network port.
type stall struct {
	*appliance

	job    kitJob
	orders <-chan wire.KitOrder
	came   numbers

	mu  sync.Mutex // guards out
	out *json.Encoder
}

// serveFromStick runs until ctx ends.
func (c *cli) serveFromStick(ctx context.Context, job kitJob, orders <-chan wire.KitOrder) (err error) {
	image, err := initramfs.Open()
	if err != nil {
		return err
	}

	s := &stall{job: job, orders: orders, out: json.NewEncoder(c.out)}

	config, err := s.settings()
	if err != nil {
		return s.complain(err)
	}

	a, err := newAppliance(config, nil, image, io.Discard, c.errs)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, a.close()) }()

	s.appliance = a

	if a.tight, err = kitStore(job.data); err != nil {
		return s.complain(err)
	}

	if err := errors.Join(image.Verify(), nic.Check(), frugal()); err != nil {
		return s.complain(err)
	}

	if err := a.open(ctx, a.openStore, a.openIdentity, a.openEngine, a.openNetboot, a.openUpkeep, a.openConsole); err != nil {
		return s.complain(err)
	}

	image.Release()
	thrifty()

	if err := a.together(ctx, s.components()); err != nil {
		return s.complain(err)
	}

	return nil
}

// settings are those of an appliance on a stick: the defaults, but for where it is.
func (s *stall) settings() (Config, error) {
	config := Defaults()
	config.DataDir, config.Netboot.Interface = s.job.data, s.job.Serve

	own, err := netip.ParsePrefix(config.Netboot.Subnet)
	if err != nil {
		return config, fmt.Errorf("reading netboot.subnet: %w", err)
	}

	host := s.job.Console
	if host == "" {
		host = own.Addr().String()
		config.Console.Listen = net.JoinHostPort(host, consolePort)
	} else {
		config.Console.Listen = net.JoinHostPort("0.0.0.0", consolePort)

		if addr, err := netip.ParseAddr(host); err != nil || own.Contains(addr) {
			return config, fmt.Errorf("the address %.40q of this machine on its other network is one of the test network %s; unplug one of them", host, own.Masked())
		}
	}

	config.Console.URL = "https://" + net.JoinHostPort(host, consolePort)

	return config, nil
}

// components are those of an appliance, but that a console on the test network waits
// for its address, and that nobody's service manager is told.
func (s *stall) components() []component {
	parts := s.common()

	for i, part := range parts {
		if part.name != "console" || s.job.Console != "" {
			continue
		}

		parts[i].run = func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-s.netboot.Ready():
				return part.run(ctx)
			}
		}
	}

	return append(parts, component{"gate", s.serveGate}, component{"partner", s.servePartner}, component{"netboot", s.netboot.Run},
		component{"screen", s.show}, component{"orders", s.obey})
}

func (s *stall) say(word wire.KitWord) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.out.Encode(word)
}

// complain tells a person what keeps the kit from serving.
func (s *stall) complain(err error) error {
	return errors.Join(err, s.say(wire.KitWord{Trouble: wordsOf(err)}))
}

// wordsOf is what a person is told of an error.
func wordsOf(err error) string {
	if p, ok := errors.AsType[*core.Problem](err); ok {
		return p.Message
	}

	return err.Error()
}

// How often the screen is looked after, and how long before its end a link is made anew.
const (
	screenEvery = 2 * time.Second
	linkEvery   = 25 * time.Minute
)

// show tells how things stand whenever they have changed.
func (s *stall) show(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.netboot.Ready():
	}

	every := time.NewTicker(screenEvery)
	defer every.Stop()

	var (
		now    wire.KitServing
		told   []byte
		linked time.Time
	)

	pair, err := s.consoleCertificate()
	if err != nil {
		return err
	}

	sum := sha256.Sum256(pair.get().Certificate[0])
	now.Network, now.Console, now.Alone, now.Key = s.self.String(), s.config.Console.URL, s.job.Console == "", hex.EncodeToString(sum[:])

	for {
		if err := s.invite(ctx, &now, &linked); err != nil {
			return err
		}

		if now.Machines, err = s.machines(ctx); err != nil {
			return err
		}

		text, err := json.Marshal(now)
		if err != nil {
			return fmt.Errorf("writing down how things stand: %w", err)
		}

		if !bytes.Equal(told, text) {
			if err := s.say(wire.KitWord{Serving: &now}); err != nil {
				return err
			}

			told = text
		}

		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// invite makes the one-time link while nobody can log in, and strikes it once somebody
// can.
func (s *stall) invite(ctx context.Context, now *wire.KitServing, linked *time.Time) error {
	peopled, err := s.ui.Peopled(ctx)
	if err != nil {
		return err
	}

	switch {
	case peopled:
		now.Link, now.QR = "", nil

		return nil
	case now.Link != "" && time.Since(*linked) < linkEvery:
		return nil
	}

	if now.Link, err = s.ui.SetupLink(ctx); err != nil {
		return err
	}

	*linked = time.Now()

	if now.QR, err = qr.Lines(now.Link); err != nil {
		s.log.Warn("the link is not drawn", slog.String("error", err.Error()))

		now.QR = nil
	}

	return nil
}

// mostShown bounds the machines that a screen is told of.
const mostShown = 50

// machines are those on the test network: registered ones by name, then strangers.
func (s *stall) machines(ctx context.Context) (list []wire.KitMachine, err error) {
	err = s.store.View(ctx, func(r core.Reader) error {
		hosts, err := lookup.AllHosts(r)
		if err != nil {
			return err
		}

		for i := range hosts {
			m, err := machineOf(r, &hosts[i])
			if err != nil {
				return err
			}

			list = append(list, m)
		}

		page, err := lookup.ReadPage(mostShown, "")
		if err != nil {
			return err
		}

		seen, _, err := lookup.Sightings(r, false, page)
		for i := range seen {
			list = append(list, wire.KitMachine{MAC: string(seen[i].MAC), State: "asks for an address"})
		}

		return err
	})

	s.came.sort(list)

	return list[:min(len(list), mostShown)], err
}

// numbers keep machines in the order in which they came to the screen, where a person
// types the number of one: it must not become another's between a look and a key.
type numbers map[string]int

func (n *numbers) sort(list []wire.KitMachine) {
	if *n == nil {
		*n = numbers{}
	}

	for i := range list {
		if _, known := (*n)[list[i].MAC]; !known {
			(*n)[list[i].MAC] = len(*n)
		}
	}

	slices.SortStableFunc(list, func(a, b wire.KitMachine) int { return (*n)[a.MAC] - (*n)[b.MAC] })
}

func machineOf(r core.Reader, host *core.Host) (wire.KitMachine, error) {
	m := wire.KitMachine{MAC: string(host.MAC), Name: uitext.Line(host.Name), State: "registered"}

	switch {
	case host.CurrentRun != "":
		run, err := lookup.Run(r, host.CurrentRun)
		if err != nil {
			return m, err
		}

		m.State, m.Busy = string(run.State), true
		if run.State.AwaitsBoot() && run.State != core.StateBooting {
			m.State += ": switch it on, or reset it"
		}
	case host.LastVerdict != "":
		m.State = string(host.LastVerdict)
	}

	return m, nil
}

// obey does what a person in front of the screen wants.
func (s *stall) obey(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case order := <-s.orders:
			said := "The run waits for the machine: have it boot from its network port."
			if err := s.vet(ctx, order.Vet); err != nil {
				said = wordsOf(err)
			}

			if err := s.say(wire.KitWord{Say: said}); err != nil {
				return err
			}
		}
	}
}

// vet starts a run of a machine, which is registered if it was not.
func (s *stall) vet(ctx context.Context, address string) error {
	mac, err := core.ParseMAC(address)
	if err != nil {
		return err
	}

	host := core.Host{MAC: mac, Name: "kit-" + strings.ReplaceAll(string(mac), ":", ""), Notes: "Adopted at the field kit.", Power: core.Power{Method: core.PowerManual}}
	if _, err := s.engine.AdoptHost(ctx, kitWho, host); err != nil && !errors.Is(err, core.ErrConflict) && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	_, err = s.engine.StartRun(ctx, mac, core.StartRun{Profile: "quick", Scale: s.job.Scale, Who: kitWho})

	return err
}
