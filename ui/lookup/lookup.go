// Package lookup reads from the ledger what people ask for. Its functions take a
// core.Reader, so that what stands on one page is of one moment. Errors people
// may see are *core.Problem.
package lookup

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/ui/text"
)

// The sizes of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 500
)

// Page bounds a list: up to Limit rows past After (a key, empty for the first).
type Page struct {
	After string
	Limit int
}

// ReadPage reads the limit and page_token of a request. A limit of 0 means the
// default.
func ReadPage(limit int, token string) (Page, error) {
	if limit == 0 {
		limit = DefaultLimit
	}

	if limit < 1 || limit > MaxLimit {
		return Page{}, core.NewProblem(core.ErrInvalid, "list/bad-limit", fmt.Sprintf("limit must be from 1 to %d.", MaxLimit))
	}

	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(after) > 200 {
		return Page{}, errPageToken()
	}

	return Page{After: string(after), Limit: limit}, nil
}

func errPageToken() error {
	return core.NewProblem(core.ErrInvalid, "list/bad-page-token", "page_token is not one this appliance gave; start again without it.")
}

// token hides a key, so that nobody comes to rely on it.
func token(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// list reads a page of records. next is the token of the page after it, empty on
// the last.
func list[T any](r core.Reader, table core.Table, page Page) (rows []T, next string, err error) {
	rows = []T{}
	last := ""

	err = r.Scan(table, core.Query{After: page.After, Limit: page.Limit + 1}, func(key string, decode func(any) error) error {
		if len(rows) == page.Limit {
			next = token(last)

			return nil
		}

		var row T

		if err := decode(&row); err != nil {
			return err
		}

		rows, last = append(rows, row), key

		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing %s: %w", table, err)
	}

	return rows, next, nil
}

// Hosts lists hosts by MAC.
func Hosts(r core.Reader, page Page) ([]core.Host, string, error) {
	return list[core.Host](r, core.TableHost, page)
}

// AllHosts lists every host by name.
func AllHosts(r core.Reader) ([]core.Host, error) {
	hosts, _, err := list[core.Host](r, core.TableHost, Page{Limit: 1 << 20})
	slices.SortFunc(hosts, func(a, b core.Host) int {
		return text.Natural(a.Name, b.Name)
	})

	return hosts, err
}

// Host reads the host that has mac as its primary or another MAC.
func Host(r core.Reader, mac core.MAC) (core.Host, error) {
	var host core.Host

	err := r.Get(core.TableHost, string(mac), &host)
	if !errors.Is(err, core.ErrNotFound) {
		return host, err
	}

	var primary core.MAC

	if err := r.Get(core.TableAlias, string(mac), &primary); err == nil {
		if err := r.Get(core.TableHost, string(primary), &host); err == nil {
			return host, nil
		}
	}

	return core.Host{}, core.NewProblem(core.ErrNotFound, "host/not-found",
		fmt.Sprintf("No host with the MAC %s is registered; add it first.", mac))
}

// Inventory reads what a run found in its host; the zero value when it never got
// that far.
func Inventory(r core.Reader, run core.RunID) (inv core.Inventory, err error) {
	if run == "" {
		return inv, nil
	}

	err = r.Get(core.TableInventory, string(run), &inv)
	if errors.Is(err, core.ErrNotFound) {
		return core.Inventory{}, nil
	}

	return inv, err
}

// Artifacts lists the files a run left.
func Artifacts(r core.Reader, run core.RunID) ([]core.Artifact, error) {
	files := []core.Artifact{}

	err := r.Scan(core.TableArtifact, core.Query{Prefix: string(run) + "/", Limit: 1000}, func(_ string, decode func(any) error) error {
		var a core.Artifact

		if err := decode(&a); err != nil {
			return err
		}

		files = append(files, a)

		return nil
	})

	return files, err
}

// Artifact reads the file of run with the SHA-256.
func Artifact(r core.Reader, run core.RunID, sha256 string) (core.Artifact, error) {
	files, err := Artifacts(r, run)
	if err != nil {
		return core.Artifact{}, err
	}

	for _, a := range files {
		if a.SHA256 == sha256 {
			return a, nil
		}
	}

	return core.Artifact{}, core.NewProblem(core.ErrNotFound, "artifact/not-found", "This run left no such file, or it has expired.")
}

// Stranger reads what was heard of a machine that is not registered. ErrNotFound when
// nothing was.
func Stranger(r core.Reader, mac core.MAC) (seen core.Sighting, err error) {
	if err = r.Get(core.TableSighting, string(mac), &seen); err != nil {
		return seen, fmt.Errorf("reading what was heard of %s: %w", mac, err)
	}

	return seen, nil
}

// Sightings lists the machines heard that are not registered: those in the inbox, or
// those that are ignored.
func Sightings(r core.Reader, ignored bool, page Page) (rows []core.Sighting, next string, err error) {
	rows = []core.Sighting{}
	last := ""

	err = r.Scan(core.TableSighting, core.Query{After: page.After}, func(key string, decode func(any) error) error {
		var s core.Sighting

		if err := decode(&s); err != nil || s.IgnoredAt.IsZero() == ignored {
			return err
		}

		if len(rows) == page.Limit {
			next = token(last)

			return errEnough
		}

		rows, last = append(rows, s), key

		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", fmt.Errorf("listing sightings: %w", err)
	}

	return rows, next, nil
}

// BootTrace reads what was seen of the last boot of mac; empty when nothing was.
func BootTrace(r core.Reader, mac core.MAC) (core.BootTrace, error) {
	trace := core.BootTrace{}

	err := r.Get(core.TableBoot, string(mac), &trace)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return trace, err
	}

	trace.Steps = append([]core.BootStep{}, trace.Steps...)

	return trace, nil
}

// Diagnosis says what is in the way of the boot that a run waits for; nil where nothing
// is, or no run waits: a machine that nobody waits for may start whatever it likes.
func Diagnosis(r core.Reader, mac core.MAC, now time.Time) (*bootdoctor.Diagnosis, error) {
	var host core.Host

	switch err := r.Get(core.TableHost, string(mac), &host); {
	case errors.Is(err, core.ErrNotFound) || err == nil && host.CurrentRun == "":
		return nil, nil //nolint:nilnil // nothing is in the way
	case err != nil:
		return nil, err
	}

	var run core.Run

	if err := r.Get(core.TableRun, string(host.CurrentRun), &run); err != nil || !run.State.AwaitsBoot() {
		return nil, err
	}

	trace, err := BootTrace(r, mac)
	if err != nil {
		return nil, err
	}

	if d, ok := bootdoctor.Diagnose(trace.Steps, now); ok {
		return &d, nil
	}

	return nil, nil //nolint:nilnil // as above
}
