package ras

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const keptFile = "ras.json"

// kept is what must outlive the process: an agent that is started again in the
// middle of a stage judges from where the stage began.
type kept struct {
	BootID  string    `json:"boot_id"`
	Seq     uint64    `json:"seq"`   // of the kernel's log: from here on it is the stage's
	Begun   bool      `json:"begun"` // a stage has begun in this boot
	Told    bool      `json:"told"`  // the boot residue was told
	Last    Snapshot  `json:"last"`  // when the stage before ended
	EndedAt time.Time `json:"ended_at"`

	Corrected []growth       `json:"corrected"` // of memory errors, within a day
	Places    map[string]int `json:"places"`    // where memory errors were, and how many
}

// growth is by how much a counter grew during a stage.
type growth struct {
	At   time.Time `json:"at"`
	Name string    `json:"name"`
	By   uint64    `json:"by"`
}

const (
	memoryOf  = 24 * time.Hour // errors further apart than this are not added up
	maxPlaces = 1000           // where there are more, the first ones say enough
)

// earlier adds up what was corrected within a day before, by counter.
func (k *kept) earlier(now time.Time) map[string]uint64 {
	sums := map[string]uint64{}

	for _, g := range k.Corrected {
		if now.Sub(g.At) < memoryOf {
			sums[g.Name] += g.By
		}
	}

	return sums
}

// remember takes in what a stage has seen.
func (k *kept) remember(w *witnessed) {
	k.Corrected = slices.DeleteFunc(k.Corrected, func(g growth) bool { return w.after.Time.Sub(g.At) >= memoryOf })

	grown := w.after.Since(w.before)
	for i := range grown {
		if grown[i].Kind == MemoryCorrected {
			k.Corrected = append(k.Corrected, growth{At: w.after.Time, Name: grown[i].Name, By: grown[i].Grew()})
		}
	}

	if k.Places == nil {
		k.Places = map[string]int{}
	}

	for place, n := range addresses(w.events) {
		if _, known := k.Places[place]; known || len(k.Places) < maxPlaces {
			k.Places[place] += n
		}
	}
}

// readKept reads it; that of another boot, or none, is empty.
func readKept(dir, bootID string) kept {
	fresh := kept{BootID: bootID}

	raw, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return fresh
	}

	var k kept
	if json.Unmarshal(raw, &k) != nil || k.BootID != bootID {
		return fresh
	}

	return k
}

func (k *kept) write(dir string) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keeping the error counters: %w", err)
	}

	path := filepath.Join(dir, keptFile)
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		return fmt.Errorf("keeping the error counters: %w", err)
	}

	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keeping the error counters: %w", err)
	}

	return nil
}

// keep writes what must outlive the process. c.mu is held.
func (c *Collector) keep() {
	if err := c.kept.write(c.State); err != nil {
		c.Log.Warn("error counters are not kept over a restart", slog.String("error", err.Error()))
	}
}
