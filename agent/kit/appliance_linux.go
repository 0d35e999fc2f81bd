package kit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"vetting/agent/wire"
)

// mostLog is how large the appliance's log may grow on the stick, in bytes, before it
// begins anew.
const mostLog = 4 << 20

// Appliance runs the appliance's program from the stick until ctx ends, tells it the
// orders, and hands on what it says. orders may be nil.
func Appliance(ctx context.Context, job wire.KitJob, orders <-chan wire.KitOrder, words chan<- wire.KitWord, log *slog.Logger) error {
	runtime.LockOSThread() // the program ends with the thread that started it
	defer runtime.UnlockOSThread()

	input, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("writing the job: %w", err)
	}

	errs, err := applianceLog()
	if err != nil {
		return err
	}
	defer errs.Close() //nolint:errcheck // lines for whoever looks for a fault

	verb, env := "vet", []string{"HOME=/root", "PATH=/bin"}
	if job.Serve == "" {
		env = append(env, "GOMEMLIMIT=160MiB") // the memory is what is to be tested
	} else {
		verb = "serve"
	}

	program := exec.CommandContext(ctx, filepath.Join(BootDir, Program), "kit", verb, "--data-dir", filepath.Join(DataDir, "appliance")) //nolint:gosec // the stick's own program
	program.Env = env
	program.Stderr = errs
	program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	in, err := program.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting the appliance: %w", err)
	}

	out, err := program.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting the appliance: %w", err)
	}

	program.Cancel = in.Close // it closes its ledger and ends
	program.WaitDelay = 10 * time.Second

	if err := program.Start(); err != nil {
		return fmt.Errorf("starting the appliance: %w", err)
	}

	if _, err := in.Write(append(input, '\n')); err != nil {
		log.Warn("the appliance takes no job", slog.String("error", err.Error()))
	}

	go tell(ctx, in, orders)

	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var word wire.KitWord
		if err := json.Unmarshal(lines.Bytes(), &word); err != nil {
			log.Warn("the appliance says what is not understood", slog.String("error", err.Error()))

			continue
		}

		select {
		case words <- word:
		case <-ctx.Done():
		}
	}

	return program.Wait()
}

// tell writes orders until ctx ends.
func tell(ctx context.Context, in io.Writer, orders <-chan wire.KitOrder) {
	out := json.NewEncoder(in)

	for {
		select {
		case <-ctx.Done():
			return
		case order := <-orders:
			_ = out.Encode(order) // a program that has ended is told of by Wait
		}
	}
}

func applianceLog() (*os.File, error) {
	name := filepath.Join(DataDir, "appliance.log")
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND

	if info, err := os.Stat(name); err == nil && info.Size() > mostLog {
		flags |= os.O_TRUNC
	}

	file, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the appliance's log: %w", err)
	}

	return file, nil
}
