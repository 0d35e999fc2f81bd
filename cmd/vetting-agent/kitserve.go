package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"vetting/agent/kit"
	"vetting/agent/network"
	"vetting/agent/wire"
)

// How long the other ports of a machine may take for an address: with one people reach
// the console over them, without one over the test network alone.
const addressPatience = 20 * time.Second

// serveHere has this machine serve a port until the person in front of it has enough.
func (b *bench) serveHere(ctx context.Context) error {
	port, err := b.choosePort(ctx)
	if err != nil || port.Name == "" {
		return err
	}

	return b.serving(ctx, port)
}

// choosePort asks for the port, and shows which of them have a link, as it changes.
func (b *bench) choosePort(ctx context.Context) (network.Link, error) {
	every := time.NewTicker(time.Second)
	defer every.Stop()

	shown := ""

	for {
		links := network.Links(b.root)
		if err := network.SwitchOn(links); err != nil {
			b.log.Debug("a network port stays off", slog.String("error", err.Error()))
		}

		if text := kit.Ports(links); text != shown {
			b.say(text)
			shown = text
		}

		select {
		case <-ctx.Done():
			return network.Link{}, ctx.Err()
		case line := <-b.desk.Listen():
			if err := b.desk.Heard(line); err != nil {
				continue
			}

			if link, ok := kit.Port(line.Text, links); ok {
				return link, nil
			}
		case <-every.C:
		}
	}
}

// serving runs the appliance on the port, and shows how things stand.
func (b *bench) serving(ctx context.Context, port network.Link) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	b.say("\n  Looking for an address for the console on the other ports ...\n")

	job := wire.KitJob{Serve: port.Name, Console: b.consoleAddress(ctx, port)}

	var err error
	if job.Scale, err = b.scale(); err != nil {
		return err
	}

	orders := make(chan wire.KitOrder, 1)
	program := kit.Start(ctx, job, orders, b.log)

	b.say("\n  Starting the appliance; it looks for other DHCP servers first ...\n")

	err = b.attend(ctx, port.Name, program, orders)

	program.End()

	if err != nil {
		b.say(fmt.Sprintf("\n  The appliance does not serve any more: %s\n", err))
	}

	return nil
}

// attend shows what the appliance says and tells it what a person wants, until it is to
// end.
func (b *bench) attend(ctx context.Context, port string, program *kit.Program, orders chan<- wire.KitOrder) error {
	var now *wire.KitServing

	shown := ""

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-program.Ended:
			return errors.Join(errors.New("its program ended"), err)
		case word := <-program.Words:
			switch {
			case word.Trouble != "":
				return errors.New(word.Trouble)
			case word.Say != "":
				b.say("\n  " + word.Say + "\n")
			case word.Serving != nil:
				now = word.Serving

				if text := kit.Serving(port, now, b.desk.Rows()); text != shown {
					b.say(text)
					shown = text
				}
			}
		case line := <-b.desk.Listen():
			if err := b.desk.Heard(line); err != nil {
				continue
			}

			if text := kit.QR(line.Text, now); text != "" {
				b.say(text)

				continue
			}

			mac, stop := kit.Machine(line.Text, now)
			if stop {
				return nil
			}

			if mac != "" {
				orders <- wire.KitOrder{Vet: mac}
			}
		}
	}
}

// consoleAddress asks the networks at the other ports for addresses, keeps them as long as
// ctx lives, and returns the first; empty: there is none within addressPatience.
func (b *bench) consoleAddress(ctx context.Context, served network.Link) string {
	others := slices.DeleteFunc(network.Links(b.root), func(l network.Link) bool { return l.Name == served.Name })
	found := make(chan netip.Addr, len(others))

	for _, link := range others {
		go func() {
			conn, err := network.Connect(ctx, network.Config{Root: b.root, Boot: link.MAC, Log: b.log})
			if err != nil {
				return // ctx has ended
			}

			found <- conn.Lease.Addr.Addr()

			_ = conn.Keep(ctx) // ends with ctx, and with nothing else
		}()
	}

	// Where nothing is plugged in, nothing will come.
	if !slices.ContainsFunc(others, func(l network.Link) bool { return l.Carrier }) {
		return ""
	}

	select {
	case addr := <-found:
		return addr.String()
	case <-time.After(addressPatience):
	case <-ctx.Done():
	}

	return ""
}
