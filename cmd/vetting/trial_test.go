package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/netboot/trial"
)

// puppet is a machine that a test switches off.
type puppet struct {
	off  chan struct{}
	died error
}

func (p *puppet) Done() <-chan struct{} { return p.off }
func (p *puppet) Err() error            { return p.died }
func (p *puppet) Screen(lines int) []string {
	return []string{"the console", fmt.Sprint("said ", lines, " lines")}
}

// played is a step some time after power-on.
type played struct {
	at     int
	kind   string
	client core.ClientKind
	detail string
}

// The judgement of a trial, with a machine that is played: by time, by what was seen, by
// where the run stands, and by whether the machine is on.
func TestATrialSaysWhatItSawAndWhy(t *testing.T) {
	t.Parallel()

	lease := []played{{1, "discover", core.ClientUEFI, ""}, {1, "offer", core.ClientUEFI, ""}, {2, "request", core.ClientUEFI, ""}, {2, "ack", core.ClientUEFI, ""}}
	loaded := append(slices.Clone(lease), played{3, "tftp", core.ClientUEFI, "snponly.efi in 80ms"})

	for name, c := range map[string]struct {
		steps []played
		claim time.Duration // when the agent takes its run; 0: never
		off   time.Duration // when the machine goes off by itself; 0: never
		died  error
		limit time.Duration

		ok          bool
		code        string
		words       []string
		after, most time.Duration
	}{
		"it boots": {
			steps: append(slices.Clone(loaded), played{5, "script", core.ClientIPXE, "01RUN"}, played{9, "hello", "", "the agent speaks"}), claim: 10 * time.Second,
			ok: true, words: []string{"  3.000 s  uefi   was sent a file: snponly.efi in 80ms", "uefi: ok; the agent has taken its run 1"}, after: 10 * time.Second, most: 11 * time.Second,
		},
		"its boot program freezes": {
			steps: loaded, code: problem.DoctorLoaderSilent, words: []string{"FAILED", "what to do: ", "the console", "boot/loader-silent"}, after: 83 * time.Second, most: 85 * time.Second,
		},
		"a refusal that is mended is no cause": {
			steps: append(slices.Clone(loaded), played{6, "discover", core.ClientHTTP, ""}, played{7, "loader", core.ClientHTTP, "shimx64.efi sent"}, played{18, "script", core.ClientUEFI, "01RUN"}),
			claim: 30 * time.Second, ok: true, after: 30 * time.Second, most: 31 * time.Second,
		},
		"its emulator dies": {
			off: 2 * time.Second, died: errors.New("exit status 1"), words: []string{"exit status 1", "came to nothing"}, after: 2 * time.Second, most: 3 * time.Second,
		},
		"its kernel dies": {
			steps: loaded, off: 8 * time.Second, words: []string{"switched itself off", "was sent a file"}, after: 8 * time.Second, most: 9 * time.Second,
		},
		"it is slow": {limit: 40 * time.Second, words: []string{"has not booted in 40s", "nothing was heard", "--timeout"}, after: 40 * time.Second, most: 41 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				guest := &puppet{off: make(chan struct{})}
				out := &bytes.Buffer{}
				job := &trialJob{limit: 5 * time.Minute}

				if c.limit > 0 {
					job.limit = c.limit
				}

				if c.off > 0 {
					time.AfterFunc(c.off, func() {
						guest.died = c.died
						close(guest.off)
					})
				}

				tried := &trials{job: job, say: out}

				boot, err := tried.follow(t.Context(), &trialWatch{firmware: trial.UEFI, started: start, limit: job.limit}, guest, func() (trialState, error) {
					s := trialState{now: time.Now(), run: core.StateWaitingPower}

					for _, p := range c.steps {
						if at := start.Add(time.Duration(p.at) * time.Second); !at.After(s.now) {
							s.steps = append(s.steps, core.BootStep{Time: at, Kind: p.kind, Client: core.BootClient{Kind: p.client}, Detail: p.detail, Share: 100})
						}
					}

					if c.claim > 0 && time.Since(start) >= c.claim {
						s.run = core.State(core.InventoryCheck)
					}

					return s, nil
				})
				if err != nil {
					t.Fatal(err)
				}

				took := time.Since(start)
				if boot.OK != c.ok || boot.Code != c.code || took < c.after || took > c.most {
					t.Errorf("after %s: %+v", took, boot)
				}

				for _, words := range c.words {
					if !strings.Contains(out.String(), words) {
						t.Errorf("%q is not in:\n%s", words, out)
					}
				}
			})
		})
	}
}
