package ras

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

// Watch is a stage.Watch: what the machine reports while the stage runs is judged
// in that stage.
func (c *Collector) Watch(ctx context.Context, name core.StageName, env stage.Env, _ context.CancelCauseFunc) func() stage.Seen {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return func() stage.Seen { return stage.Seen{} }
	}

	between := c.begin()

	return func() stage.Seen {
		w := c.end(ctx, name, env.Config[PolicySetting] == "used")
		w.between = between

		if text := w.file(); len(text) > 0 {
			env.Keep(fmt.Sprintf("kernel-log-%s.txt", name), text)
		}

		return w.seen()
	}
}

// PolicySetting is the profile's word on corrected errors: "new" forgives none.
const PolicySetting = "Memory.policy"

// begin marks where the stage begins. What was said long after the stage before is
// returned: people may have been at the machine.
func (c *Collector) begin() (between []Event) {
	c.look()

	c.mu.Lock()
	defer c.mu.Unlock()

	if c.kept.Told && time.Since(c.kept.EndedAt) > gapLimit && !c.kept.Begun {
		between, c.events = c.events, nil
		c.kept.Last = c.Read(time.Now()).steady(c.kept.Last)
	}

	if !c.kept.Begun && len(c.records) > 0 {
		c.kept.Seq = c.records[0].Seq
	}

	c.kept.Begun = true
	c.keep()

	return between
}

// end gathers what was seen since begin and makes it the past.
func (c *Collector) end(ctx context.Context, name core.StageName, used bool) *witnessed {
	entries := c.newEntries(ctx)
	c.look()

	c.mu.Lock()
	defer c.mu.Unlock()

	entries, c.read = append(c.read, entries...), nil
	now := c.Read(time.Now()).steady(c.kept.Last)
	w := &witnessed{
		stage: name, used: used, virtual: c.Virtual, shared: c.Shared, before: c.kept.Last, after: now, events: c.events, records: c.records,
		earlier: c.kept.earlier(now.Time), storms: c.storms.tell(), places: maps.Clone(c.kept.Places), entries: entries, heard: c.log != nil, traced: c.trace != nil, bmc: c.sel != nil, ecc: c.ECC, edac: c.edacDrivers(), skipped: c.skipped,
	}

	if !c.kept.Told {
		w.first, w.boot, w.crashes = true, c.boot, c.wrecks
	}

	c.kept.remember(w)

	if n := len(c.records); n > 0 {
		c.kept.Seq = c.records[n-1].Seq + 1
	}

	c.events, c.records, c.skipped, c.boot = nil, nil, 0, nil
	c.kept.Last, c.kept.EndedAt, c.kept.Begun, c.kept.Told = now, time.Now(), false, true
	c.keep()

	return w
}

// newEntries returns the records that the BMC has added.
func (c *Collector) newEntries(ctx context.Context) (entries []Entry) {
	select {
	case <-c.bmcDone:
	case <-ctx.Done():
		return nil
	}

	c.mu.Lock()
	log := c.sel
	c.mu.Unlock()

	if log == nil {
		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, bmcTimeout)
	defer cancel()

	raw, err := log.fresh(ctx)
	if err != nil {
		c.Log.Warn("the BMC's event log is not read", slog.String("error", err.Error()))
	}

	for _, record := range raw {
		if e, ok := ParseSEL(record); ok {
			entries = append(entries, e)
		}
	}

	return entries
}

// Expect is a stage.Expect: what some sensors of the BMC log from now on, until over is
// called, is the doing of the test under way, and is not judged. What they logged before,
// and what others log, is.
func (c *Collector) Expect(ctx context.Context, sensors []byte) (over func()) {
	c.keepEntries(c.newEntries(ctx))

	return func() {
		ctx := context.WithoutCancel(ctx) // a test that is stopped has done what it did

		c.keepEntries(slices.DeleteFunc(c.newEntries(ctx), func(e Entry) bool { return slices.Contains(sensors, e.Sensor) }))
	}
}

func (c *Collector) keepEntries(entries []Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.read = append(c.read, entries...)
}

const pstore = "sys/fs/pstore"

// Bring hands over, once, what was there before the agent: the kernel's log of the
// start and what a crash before it has left, which is removed then, since pstore
// is small. It waits until the collector listens.
func (c *Collector) Bring(ctx context.Context, keep func(name string, content []byte)) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return
	}

	c.mu.Lock()
	records := c.bootLog
	c.bootLog = nil
	told := c.kept.Told || c.kept.Begun
	c.mu.Unlock()

	if !told && len(records) > 0 {
		keep("kernel-log-boot.txt", printed(records))
	}

	entries, err := fs.ReadDir(c.Root, pstore)
	if err != nil {
		return // this machine keeps none
	}

	for _, entry := range entries {
		name := entry.Name()
		content, err := fs.ReadFile(c.Root, pstore+"/"+name)
		if err != nil {
			c.Log.Warn("the record of a crash cannot be read", slog.String("file", name), slog.String("error", err.Error()))

			continue
		}

		keep("pstore-"+name, content)
		c.wrecked(name)

		if err := os.Remove(filepath.Join(c.Dir, pstore, name)); err != nil {
			c.Log.Warn("the record of a crash stays", slog.String("file", name), slog.String("error", err.Error()))
		}
	}
}

func (c *Collector) wrecked(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.wrecks = append(c.wrecks, name)
}

func printed(records []Record) []byte {
	var b bytes.Buffer
	for _, r := range records {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}

	return b.Bytes()
}
