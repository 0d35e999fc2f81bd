package kit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
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

// How large the appliance's log may grow on the stick, in bytes, before it begins anew: so
// much, and no more than a share of the room there; but some, also where the room is not known.
const (
	mostLog  = 4 << 20
	leastLog = 256 << 10
	logShare = 32
)

// Program is the appliance's program under way.
type Program struct {
	Words <-chan wire.KitWord // what it says
	Ended <-chan error        // has one value once it has ended

	stop context.CancelFunc
	over chan struct{}
}

// Start has the appliance's program on the stick do a job, and tells it the orders, which
// may be nil. The caller must End it.
func Start(ctx context.Context, job wire.KitJob, orders <-chan wire.KitOrder, log *slog.Logger) *Program {
	ctx, stop := context.WithCancel(ctx)
	words, ended := make(chan wire.KitWord), make(chan error, 1)
	p := &Program{Words: words, Ended: ended, stop: stop, over: make(chan struct{})}

	go func() {
		defer close(p.over)

		ended <- run(ctx, job, orders, words, log)
	}()

	return p
}

// End has it close its ledger, which the next one needs, and returns once it is gone.
func (p *Program) End() {
	p.stop()
	<-p.over
}

// run runs it until ctx ends.
func run(ctx context.Context, job wire.KitJob, orders <-chan wire.KitOrder, words chan<- wire.KitWord, log *slog.Logger) error {
	runtime.LockOSThread() // the program ends with the thread that started it
	defer runtime.UnlockOSThread()

	errs, err := applianceLog()
	if err != nil {
		return err
	}
	defer errs.Close() //nolint:errcheck // lines for whoever looks for a fault

	program := command(ctx, job)
	program.Stderr = errs

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

	if err := json.NewEncoder(in).Encode(job); err != nil {
		log.Warn("the appliance takes no job", slog.String("error", err.Error()))
	}

	go tell(ctx, in, orders)
	listen(ctx, out, words, log)

	return program.Wait()
}

// command is how it is started for a job.
func command(ctx context.Context, job wire.KitJob) *exec.Cmd {
	verb, env := "vet", []string{"HOME=/root", "PATH=/bin"}
	if job.Serve == "" {
		env = append(env, "GOMEMLIMIT=160MiB") // the memory is what is to be tested
	} else {
		verb = "serve"
	}

	program := exec.CommandContext(ctx, filepath.Join(BootDir, ProgramFile), "kit", verb, "--data-dir", filepath.Join(DataDir, "appliance")) //nolint:gosec // the stick's own program
	program.Env = env
	program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	return program
}

// listen hands on what the program says, until it has ended.
func listen(ctx context.Context, out io.Reader, words chan<- wire.KitWord, log *slog.Logger) {
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

// journal is a file that begins anew before it has grown beyond most.
type journal struct {
	file *os.File
	size int64
	most int64
}

// applianceLog opens the appliance's log on the stick.
func applianceLog() (*journal, error) {
	_, all := Free()

	return openJournal(filepath.Join(DataDir, "appliance.log"), logRoom(all))
}

func logRoom(all int64) int64 { return min(mostLog, max(all/logShare, leastLog)) }

func openJournal(name string, most int64) (*journal, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // on the stick
	if err != nil {
		return nil, fmt.Errorf("opening the appliance's log: %w", err)
	}

	at, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the appliance's log: %w", err), file.Close())
	}

	return &journal{file: file, size: at.Size(), most: most}, nil
}

// Write adds lines. Where they cannot be written, as on a stick that was pulled, the
// appliance goes on all the same.
func (j *journal) Write(lines []byte) (int, error) {
	if j.size+int64(len(lines)) > j.most && j.file.Truncate(0) == nil {
		j.size = 0
	}

	n, _ := j.file.Write(lines)
	j.size += int64(n)

	return len(lines), nil
}

// Close closes it.
func (j *journal) Close() error { return j.file.Close() }
