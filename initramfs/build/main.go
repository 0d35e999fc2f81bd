// Command build makes the boot image: the kernel, its modules and the iPXE
// programs from Debian packages, and the base system of u-root's commands and our
// agent. It runs in the root of the repository; see ../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"vetting/initramfs/build/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // main makes the context
	defer stop()

	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1) //nolint:gocritic // the signal handler dies with the process
	}
}

func run(ctx context.Context, args []string) error {
	b := &builder{started: time.Now()}

	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.StringVar(&b.out, "out", "initramfs/blobs", "folder of the finished image")
	flags.StringVar(&b.cache, "cache", "", "folder of packages and intermediate results (default $XDG_CACHE_HOME/vetting)")
	flags.StringVar(&b.agent, "agent", "./cmd/vetting-agent", "package of the program that becomes /init")
	flags.StringVar(&b.appliance, "appliance", "./cmd/vetting", "package of the program that carries the image, whose licences go into it")
	flags.BoolVar(&b.force, "force", false, "make every part anew")
	lock := flags.String("lock", os.Getenv("LOCK"), "strict: refuse packages other than the locked ones (default $LOCK)")
	agentOnly := flags.Bool("agent-only", false, "make only the agent, as a segment that overrides the one in the image")
	updateLock := flags.Bool("update-lock", false, "take the newest packages and write them into the lock file")
	reproducible := flags.Bool("check-reproducible", false, "build once more from nothing and compare")

	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}

	if err := b.chooseMode(*lock, *updateLock); err != nil {
		return err
	}

	if err := b.prepare(); err != nil {
		return err
	}

	unlock, err := b.exclude()
	if err != nil {
		return err
	}
	defer unlock()

	switch {
	case *agentOnly:
		return b.buildAgent(ctx)
	case *reproducible:
		return b.checkReproducible(ctx)
	default:
		return b.build(ctx)
	}
}

// chooseMode settles how strictly the lock file is held.
func (b *builder) chooseMode(lock string, update bool) error {
	switch {
	case lock != "" && lock != "strict":
		return fmt.Errorf("LOCK=%s is unknown; say LOCK=strict or nothing", lock)
	case lock == "strict" && update:
		return errors.New("LOCK=strict and -update-lock contradict each other; say one of them")
	case lock == "strict":
		b.mode = debian.Strict
	case update:
		b.mode = debian.Renew
	}

	return nil
}

// prepare settles folders and the environment of the go command.
func (b *builder) prepare() error {
	if _, err := os.Stat(lockFile); err != nil && b.mode != debian.Renew {
		return fmt.Errorf("looking for the lock file: %w (run this in the root of the repository)", err)
	}

	if b.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("choosing cache folder: %w", err)
		}

		b.cache = filepath.Join(dir, "vetting")
	}

	cache, err := filepath.Abs(b.cache) // apt works in other folders
	if err != nil {
		return fmt.Errorf("choosing cache folder: %w", err)
	}

	b.cache = cache
	b.mirror = os.Getenv("MIRROR")

	for _, dir := range []string{b.out, b.cache} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public files
			return fmt.Errorf("making folder: %w", err)
		}
	}

	return fixEnvironment()
}

// fixEnvironment takes away what a person's shell may say to the go command, so
// that the same source gives the same bytes on every machine.
func fixEnvironment() error {
	for name, value := range map[string]string{
		"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v1", "CGO_ENABLED": "0",
		"GOFLAGS": "-buildvcs=false", "GOEXPERIMENT": "", "GOWORK": "off", "GO111MODULE": "on",
	} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}

	return nil
}

// exclude keeps a second build on this machine waiting until this one is done.
func (b *builder) exclude() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(b.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking cache: %w", err)
	}

	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		b.say("waiting for another build on this machine to end")

		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return nil, fmt.Errorf("locking cache: %w", err)
		}
	}

	return func() { _ = file.Close() }, nil
}
