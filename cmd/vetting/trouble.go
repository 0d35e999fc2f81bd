package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui"
)

// outOfOrder keeps the console open, and nothing else, while the ledger cannot be
// used, and has it say why and what to do. To end would only have the appliance
// started again, and again. What is no fault of the ledger comes back.
func (a *appliance) outOfOrder(ctx context.Context, fault error) error {
	p, ok := errors.AsType[*core.Problem](fault)
	if !ok || p.Code == codeLocked || ctx.Err() != nil {
		return fault
	}

	a.log.Error("out of order", slog.String("code", p.Code), slog.String("error", p.Message))

	var err error
	if a.self, err = netip.ParsePrefix(a.config.Netboot.Subnet); err != nil {
		return errors.Join(fault, err)
	}

	console, err := a.consoleCertificate()
	if err != nil {
		return errors.Join(fault, err)
	}

	a.ui, err = ui.New(ui.Config{
		Addr: a.config.Console.Listen, TLS: console.get(), Certificate: console.get, Now: time.Now, Log: a.log, Appliance: report.Appliance{Version: version()},
		Base: a.config.Console.base(a.config.Netboot.Interface), Admit: a.admit(),
		Trouble: &ui.Trouble{Code: p.Code, Text: p.Message, Next: nextFor(p.Code)},
	})
	if err != nil {
		return errors.Join(fault, err)
	}

	fmt.Fprintf(a.out, "OUT OF ORDER [%s]: %s\nNo host is booted or tested. %s\nconsole: %s\n", p.Code, p.Message, nextFor(p.Code), a.ui.URL())

	tell := &reporter{
		to: a.manager, every: a.beat, log: a.log, alive: func(context.Context) error { return nil },
		state: func() string { return "OUT OF ORDER [" + p.Code + "], see " + a.ui.URL() },
	}

	return a.together(ctx, []component{{"console", a.ui.Run}, {"service manager", tell.run}})
}
