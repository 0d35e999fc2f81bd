package ui

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// serialIdle is for how long a serial console may be without a byte either way. It keeps others
// off the port, and its session is one of a controller's few.
const serialIdle = 30 * time.Minute

// consolePage shows the serial console of a host, or why there is none.
func (u *UI) consolePage(c *fiber.Ctx) error { return u.showConsole(c, false) }

// takeConsole is consolePage that ends the session which somebody else has at the controller.
func (u *UI) takeConsole(c *fiber.Ctx) error { return u.showConsole(c, true) }

func (u *UI) showConsole(c *fiber.Ctx, takeOver bool) error {
	host, err := u.findHost(c)
	if err != nil {
		return err
	}

	page, err := u.terminalFrame(c, "Serial console of "+host.Name)
	if err != nil {
		return err
	}

	page.Word, page.Name, page.Back, page.BackWords = "Serial console", host.Name, "/hosts/"+string(host.MAC)+"#controller", "Back to the host"
	page.Again, page.Take = pathConsole(host.MAC), pathConsole(host.MAC)
	page.About = "The serial port of the machine, by its management controller. It is written down who opens it and for how long, not what is typed. " +
		"Whoever is there first types, others look on; without a byte for half an hour it ends."
	page.Without = "The serial console needs JavaScript. Use “vetting host console " + string(host.MAC) + "” instead."

	if len(host.Power.Controllers()) == 0 {
		page.Closed = "The host has no management controller; give its address, user and password on the host's page."
	} else if err := u.admit(c, &page, keyOfSerial(host.MAC, takeOver), pathConsole(host.MAC)+"/socket"); err != nil {
		return err
	}

	if takeOver && page.Socket != "" {
		page.Socket += "&take_over=true"
	}

	return draw(c, view.ShowTerminal(&page))
}

func pathConsole(mac core.MAC) string { return "/hosts/" + string(mac) + "/console" }

// keyOfSerial is what a ticket of a serial console is for.
func keyOfSerial(mac core.MAC, takeOver bool) string {
	if takeOver {
		return keyOfHost(mac) + " taken over"
	}

	return keyOfHost(mac)
}

// keyOfHost names the serial console of a host.
func keyOfHost(mac core.MAC) string { return "host/" + string(mac) }

// findHost reads the host that a request names.
func (u *UI) findHost(c *fiber.Ctx) (host core.Host, err error) {
	mac, err := macOf(c)
	if err != nil {
		return host, err
	}

	err = u.look(c, func(r core.Reader) (err error) {
		host, err = lookup.Host(r, mac)

		return err
	})

	return host, err
}

// consoleSocket joins the page of a serial console to it. Its origin, the session, its role and
// the ticket must all be right.
func (u *UI) consoleSocket(c *fiber.Ctx) error {
	if err := wantsSocket(c); err != nil {
		return err
	}

	if err := ownOrigin(c); err != nil {
		return err
	}

	host, err := u.findHost(c)
	if err != nil {
		return err
	}

	takeOver, err := yes(c, "take_over")
	if err != nil {
		return err
	}

	size, err := u.fromPage(c, keyOfSerial(host.MAC, takeOver))
	if err != nil {
		return err
	}

	return u.joinTerminal(c, u.serialPort(&host, takeOver), size, false)
}

// hostConsole joins a program to the serial console of a host. A browser, whose session comes by
// itself, must be at our own pages.
func (u *UI) hostConsole(c *fiber.Ctx) error {
	if err := wantsSocket(c); err != nil {
		return err
	}

	if caller(c).Session != "" {
		if err := ownOrigin(c); err != nil {
			return err
		}
	}

	host, err := u.findHost(c)
	if err != nil {
		return err
	}

	takeOver, err := yes(c, "take_over")
	if err != nil {
		return err
	}

	looks, err := yes(c, "read_only")
	if err != nil {
		return err
	}

	if len(host.Power.Controllers()) == 0 {
		return core.NewProblem(core.ErrInvalid, problem.HostBadPower, host.Name+" has no management controller; give its address, user and password.")
	}

	return u.joinTerminal(c, u.serialPort(&host, takeOver), window{}, looks)
}

func (u *UI) serialPort(host *core.Host, takeOver bool) *port {
	bmc := host.Power.BMC

	return &port{
		key: keyOfHost(host.MAC), same: bmc.Address, word: "serial console", of: "the host " + host.Name, action: "host.console", host: host.MAC,
		idle: u.terminals.idle, over: "the serial console has ended", silent: fmt.Sprintf("The serial console of %s cannot be opened; see the log of the appliance.", host.Name),
		open: func(ctx context.Context, _ window) (line, error) {
			wire, err := u.cfg.Commands.OpenSerial(ctx, host.MAC, takeOver)
			if err != nil {
				return nil, err
			}

			return serial{wire}, nil
		},
		ended: func(ctx context.Context) string { return u.serialEnded(ctx, host.MAC, &bmc) },
	}
}

// serial is a line to the serial port of a machine, which knows no size.
type serial struct{ io.ReadWriteCloser }

func (serial) resize(window) {}

// serialEnded says why a host has the controller no more to which a console is open; empty while
// it has.
func (u *UI) serialEnded(ctx context.Context, mac core.MAC, bmc *core.BMC) string {
	var host core.Host

	err := u.cfg.Ledger.View(ctx, func(r core.Reader) (err error) {
		host, err = lookup.Host(r, mac)

		return err
	})

	switch {
	case err != nil:
		return "the host cannot be read, or was deleted"
	case host.Power.BMC.Address != bmc.Address || host.Power.BMC.User != bmc.User:
		return "the host has another management controller now"
	default:
		return ""
	}
}
