package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vetting/agent/burn"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/profile"
)

// stressWord asks for one stage by hand.
const stressWord = "stress"

// How stress ends.
const (
	stressPassed = 0
	stressFailed = 1 // something is said against the machine
	stressUsage  = 2
	stressError  = 3 // the machine was not tested as it should have been
)

// stressing is one stage by hand.
type stressing struct {
	name     core.StageName
	run      stage.Func
	duration time.Duration // 0: as in the profile quick
	config   map[string]string
	gaps     []string // what this process may not test
	json     bool
	out      io.Writer
	board    *board
}

const stressHelp = `vetting-agent stress cpu|memory|burn [--duration 10m] [--memory-mib 4096] [--json]

Puts this machine to work as a stage of a run does, verifies what comes of it, and
says what was tested. It writes to no disk. Ends with 0: pass, 1: fail, 2: wrong
usage, 3: it could not be tested.

`

// stress runs a stage on this machine by hand.
func stress(ctx context.Context, args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	s, err := readStress(args, out, errs)

	switch {
	case errors.Is(err, flag.ErrHelp):
		return stressPassed
	case err != nil:
		fmt.Fprintln(errs, "vetting-agent:", err)

		return stressUsage
	}

	runtime.GOMAXPROCS(agentThreads)

	return s.carry(ctx)
}

// readStress understands the command line.
func readStress(args []string, out, errs io.Writer) (*stressing, error) {
	s := &stressing{out: out, board: newBoard(errs), config: profile.Defaults()[0].Config}

	flags := flag.NewFlagSet(stressWord, flag.ContinueOnError)
	flags.SetOutput(errs)

	flags.Usage = func() {
		fmt.Fprint(errs, stressHelp)
		flags.PrintDefaults()
	}

	flags.DurationVar(&s.duration, "duration", 0, "how `long`; as in the profile quick when 0, one pass for memory")
	flags.BoolVar(&s.json, "json", false, "write the result as JSON")

	mib := flags.Int("memory-mib", 0, "test at most so many `MiB` of memory; all that is free when 0")

	word := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		word, args = args[0], args[1:]
	}

	if err := flags.Parse(args); err != nil {
		return nil, err
	}

	if flags.NArg() > 0 || s.duration < 0 || *mib < 0 {
		return nil, errors.New("no such words; vetting-agent stress --help tells them")
	}

	s.limit(*mib)

	return s, s.choose(word)
}

// choose finds the stage.
func (s *stressing) choose(word string) error {
	look := probe.Machine{Root: os.DirFS("/")}
	var key string

	switch word {
	case "cpu":
		s.name, s.run, key = core.CPUStress, stage.CPUStress(look, workforce, writeSys), profile.CPUDuration
	case "memory":
		s.name, s.run, key = core.Memory, stage.Memory(look, memory.Run, memory.BootLog), profile.MemoryDuration
	case "burn":
		s.name, s.run, key = core.Burn, stage.Burn(look, workforce, s.burner), profile.BurnDuration
	default:
		return fmt.Errorf("stress needs cpu, memory or burn, not %.40q; vetting-agent stress --help tells more", word)
	}

	if s.duration > 0 {
		s.config[key] = s.duration.String()
	}

	s.gaps = s.outOfReach()

	return nil
}

// limit says how much memory to test. By hand there are other programs beside it:
// what was left out stands in the coverage, and is no error, which a limit makes so.
func (s *stressing) limit(mib int) {
	if mib == 0 {
		const all = 64 << 20 // the most that the setting may say, and more than any machine has

		mib = all
	}

	s.config[profile.MemoryLimit], s.config[profile.MemoryFloor] = strconv.Itoa(mib), "0"
}

// burner leaves out the disks that this process may not read.
func (s *stressing) burner(ctx context.Context, o burn.Options) *burn.Outcome {
	var left []string

	for _, t := range o.Targets {
		if denied(t.Path) {
			left = append(left, t.Name)
			s.gaps = append(s.gaps, "disk "+t.Name+" may not be read")
		}
	}

	o.Targets = slices.DeleteFunc(slices.Clone(o.Targets), func(t diskread.Target) bool { return slices.Contains(left, t.Name) })

	out := burn.Run(ctx, o)
	out.Left = left

	return out
}

// denied reports whether a file is there, and this process may not open it.
func denied(path string) bool {
	f, err := os.Open(path)
	if err == nil {
		_ = f.Close() // nothing was written
	}

	return errors.Is(err, os.ErrPermission)
}

// outOfReach lists what watches over every stage of a run, and not over this one.
func (s *stressing) outOfReach() (gaps []string) {
	if denied("/dev/kmsg") {
		gaps = append(gaps, "the kernel's log may not be read")
	}

	if denied("/sys/kernel/tracing/instances") {
		gaps = append(gaps, "the kernel's trace events of faults may not be read")
	}

	if s.name == core.Burn {
		gaps = append(gaps, "there is no appliance to exchange frames with")
	}

	return gaps
}

// carry runs the stage and tells what came of it.
func (s *stressing) carry(ctx context.Context) int {
	begin := time.Now()
	log := slog.New(s.board.handler())
	env := stage.Env{
		Log: log, Progress: s.board.progress, Sensor: func(...core.Sample) {}, Config: s.config, Scale: 1,
		Keep: func(string, []byte) {}, WriteLease: func() time.Time { return time.Time{} }, Checkpoint: func([]byte) bool { return true },
	}

	result := s.watched(ctx, env)
	result.Stage = s.name
	s.board.clear()

	if err := s.tell(result, time.Since(begin)); err != nil {
		return stressError
	}

	switch result.Verdict {
	case core.Pass:
		return stressPassed
	case core.Fail:
		return stressFailed
	default:
		return stressError
	}
}
