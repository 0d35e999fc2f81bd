package main

import (
	"context"
	"time"

	"vetting/core/route"
	"vetting/store/janitor"
	"vetting/ui/notify"
)

// openUpkeep makes what works beside the runs: who tells people, and who removes
// what is old.
func (a *appliance) openUpkeep(context.Context) error {
	told, err := a.config.notifications(consoleURL(&a.config))
	if err != nil {
		return err
	}

	book := notify.Book{Ledger: a.store}

	if a.courier, err = notify.New(told, notify.Ports{Ledger: a.store, Bell: a.bell, Cursor: book, Outcomes: book, Log: a.log}); err != nil {
		return err
	}

	start := time.Now()

	a.janitor, err = janitor.New(a.config.sweeps(), janitor.Ports{
		Ledger: a.store, Logs: a.logs, Shelf: a.artifacts, Collector: a.store, Log: a.log,
		Uptime: func() time.Duration { return time.Since(start) },
	})

	return err
}

// maxExpiring bounds the items that people are shown.
const maxExpiring = 1000

// expiring says what the next sweep would remove.
func (a *appliance) expiring(ctx context.Context) (route.Expiring, error) {
	due, err := a.janitor.DryRun(ctx)
	if err != nil {
		return route.Expiring{}, err
	}

	shown := route.Expiring{Items: []route.ExpiringItem{}, Count: len(due.Items), Bytes: due.Bytes}

	for _, item := range due.Items[:min(len(due.Items), maxExpiring)] {
		shown.Items = append(shown.Items, route.ExpiringItem{What: item.What, Run: item.Run, Name: item.Name, Bytes: item.Bytes, Due: item.Due})
	}

	return shown, nil
}
