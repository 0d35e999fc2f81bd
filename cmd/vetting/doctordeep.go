package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vetting/core"
	"vetting/ui/notify"
)

// deep looks at what takes its time: whether the ledger is whole, whether notifiers can be
// reached, and whether the hosts' management controllers let the appliance in. Nothing is
// sent and nothing is switched.
func (c *checkup) deep(ctx context.Context, config *Config) {
	c.ledger(ctx, config.DataDir)
	c.notifiers(ctx, config)
	c.controllers(ctx, config.DataDir)
}

// ledger opens it as the appliance does before it starts.
func (c *checkup) ledger(ctx context.Context, dir string) {
	const check = "ledger"

	ledger := filepath.Join(dir, ledgerDir)

	if runsOn(ctx, dir) {
		c.add(check, "ok", "the appliance runs and has it open")

		return
	}

	if _, err := os.Stat(ledger); errors.Is(err, fs.ErrNotExist) {
		c.add(check, "ok", "there is none yet")

		return
	}

	c.judge(check, "whole", examine(ctx, ledger))
}

// notifiers looks whether those that are to be told can be.
func (c *checkup) notifiers(ctx context.Context, config *Config) {
	const check, patience = "notifiers", 10 * time.Second

	told, err := config.notifications("")
	if err != nil {
		c.judge(check, "", err)

		return
	}

	if len(told.Targets) == 0 {
		c.add(check, "ok", "there are none")
	}

	for i := range told.Targets {
		target := &told.Targets[i]

		limit, cancel := context.WithTimeout(ctx, patience)
		err := target.Reach(limit)

		cancel()

		switch name := "notifier " + target.Name; {
		case errors.Is(err, notify.ErrUnseen):
			c.add(name, "ok", err.Error())
		case err != nil:
			c.add(name, "warn", "it cannot be reached: "+withoutText(core.NewProblem(core.ErrNotFound, "", err.Error())))
		default:
			c.add(name, "ok", "it can be reached; nothing was sent")
		}
	}
}
