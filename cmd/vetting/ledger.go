package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/core/problem"
	"vetting/store"
)

// The codes of what can be wrong with a ledger, as store gives them.
const (
	codeDamaged = "store/damaged"
	codeLocked  = "store/locked"
	codeLost    = "store/writes-lost"
)

// examined is what a process that looked at a ledger says of it.
type examined struct {
	Whole   bool           `json:"whole"`
	Damaged bool           `json:"damaged"`
	Code    string         `json:"code,omitempty"`
	Message string         `json:"message,omitempty"`
	Details map[string]any `json:"details,omitempty"`
}

// examine has a process of its own look whether the ledger in dir is whole. Damage
// can end a process: what the disk does not give back under a mapped file is a
// SIGBUS, and Badger panics in goroutines of its own. The error is a *core.Problem
// as of store.Check where something is wrong with the ledger.
func examine(ctx context.Context, dir string) error {
	const tries, pause = 10, 200 * time.Millisecond

	for try := 1; ; try++ {
		err := examineBy(ctx, "/proc/self/exe", []string{"vetting", "store", "examine", dir}, dir)

		// Whoever was killed a moment ago may not have let go of the ledger yet.
		if p, ok := errors.AsType[*core.Problem](err); !ok || p.Code != codeLocked || try == tries {
			return err
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func examineBy(ctx context.Context, program string, args []string, dir string) error {
	out, errs, state, err := runChild(ctx, program, args)
	if err != nil {
		return fmt.Errorf("looking at the ledger: %w", err)
	}

	var said examined

	switch bad := json.Unmarshal(out, &said); {
	case ctx.Err() != nil:
		return ctx.Err()
	case bad != nil:
		lines := strings.Split(strings.TrimSpace(string(errs)), "\n")

		return core.NewProblem(store.ErrDamaged, codeDamaged, fmt.Sprintf(
			"The process that looked at the ledger in %s died of it (%s): %.200s. Copy the directory away and restore the newest backup.",
			dir, state, lines[0]))
	case said.Whole:
		return nil
	}

	kind := core.ErrConflict
	if said.Damaged {
		kind = store.ErrDamaged
	}

	p := core.NewProblem(kind, said.Code, said.Message)
	for key, value := range said.Details {
		p = p.With(key, value)
	}

	return p
}

// runChild runs a program to its end, or kills it when ctx or this process ends, and
// returns what it wrote.
func runChild(ctx context.Context, program string, args []string) (out, errs []byte, state *os.ProcessState, err error) {
	readOut, writeOut, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}

	readErr, writeErr, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, errors.Join(err, readOut.Close(), writeOut.Close())
	}

	child, err := os.StartProcess(program, args, &os.ProcAttr{ //nolint:gosec // our own program, with our own arguments
		Env: os.Environ(), Files: []*os.File{nil, writeOut, writeErr},
		// It must not outlive who asked: it holds the ledger, and the next start would find it taken.
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err = errors.Join(err, writeOut.Close(), writeErr.Close()); err != nil {
		return nil, nil, nil, errors.Join(err, readOut.Close(), readErr.Close())
	}

	stop := context.AfterFunc(ctx, func() { _ = child.Kill() })
	defer stop()

	var (
		both      sync.WaitGroup
		words     head
		faultyErr error
	)

	both.Go(func() { _, faultyErr = io.Copy(&words, readErr) })

	out, err = io.ReadAll(io.LimitReader(readOut, 1<<20))

	both.Wait()

	state, waited := child.Wait()

	return out, words.first, state, errors.Join(err, faultyErr, waited, readOut.Close(), readErr.Close())
}

// head keeps the beginning of what is written, where a dying program says why.
type head struct{ first []byte }

// Write takes everything.
func (h *head) Write(p []byte) (int, error) {
	const enough = 4 << 10

	h.first = append(h.first, p[:min(len(p), enough-len(h.first))]...)

	return len(p), nil
}

func (c *cli) storeCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Read the whole ledger and verify every checksum and chain (while no appliance runs)", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			if err := standInFor(config.DataDir); err != nil {
				return err
			}

			if err := examine(cmd.Context(), filepath.Join(config.DataDir, ledgerDir)); err != nil {
				return err
			}

			_, err = fmt.Fprintln(c.out, "ok")

			return err
		},
	}
	settingFlags(check)

	return group("store", "Care for the ledger", check, c.acceptLossCommand(), c.examineCommand(), c.settledCommand())
}

// examineCommand is what examine starts.
func (c *cli) examineCommand() *cobra.Command {
	return &cobra.Command{
		Use: "examine DIR", Short: "Look at a ledger and say as JSON what is wrong with it", Hidden: true, Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			said := examined{Whole: true}

			if err := store.Check(cmd.Context(), args[0]); err != nil {
				said = examined{Code: "store/unreadable", Message: err.Error(), Damaged: errors.Is(err, store.ErrDamaged)}

				if p, ok := errors.AsType[*core.Problem](err); ok {
					said.Code, said.Message, said.Details = p.Code, p.Message, p.Details
				}
			}

			return json.NewEncoder(c.out).Encode(said)
		},
	}
}

func (c *cli) acceptLossCommand() *cobra.Command {
	var commits uint64

	cmd := &cobra.Command{
		Use: "accept-loss", Short: "Go on with a ledger whose newest commits are lost, as it is (while no appliance runs)", Args: noArgs,
		Long: "Where the end of the ledger's log is damaged, the appliance does not go on by itself: what it acknowledged is missing.\n" +
			"Restore the newest backup if you have one. Without --commits this only says what is lost.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			if err := standInFor(config.DataDir); err != nil {
				return err
			}

			return c.acceptLoss(cmd.Context(), filepath.Join(config.DataDir, ledgerDir), commits)
		},
	}
	settingFlags(cmd)
	cmd.Flags().Uint64Var(&commits, "commits", 0, "how many commits are lost, as this command says without it")

	return cmd
}

func (c *cli) acceptLoss(ctx context.Context, dir string, commits uint64) (err error) {
	fault := examine(ctx, dir)
	if fault == nil {
		_, err = fmt.Fprintln(c.out, "nothing is lost; the ledger is whole")

		return err
	}

	p, ok := errors.AsType[*core.Problem](fault)
	if !ok || p.Code != codeLost {
		return fault
	}

	if lost := fmt.Sprint(p.Details["lost_commits"]); fmt.Sprint(commits) != lost {
		return &usageError{fmt.Errorf("%s To go on without them: vetting store accept-loss --commits %s", p.Message, lost)}
	}

	ledger, err := store.Open(ctx, store.Config{Dir: dir, AcceptLoss: true})
	if err != nil {
		return err
	}

	if err := ledger.Close(); err != nil {
		return err
	}

	_, err = fmt.Fprintf(c.out, "%d commits are given up, and a notice in the ledger says so; start the appliance\n", commits)

	return err
}

// nextFor says what to do about a problem.
func nextFor(code string) string {
	entry, ok := problem.Lookup(code)
	if !ok {
		entry.Next = "See the appliance's log."
	}

	return entry.Next
}
