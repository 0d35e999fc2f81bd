package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/probe"
)

// collectWord asks for a recording of the machine.
const collectWord = "collect"

// record writes down what this machine is made of and what its parts say, for a
// bug report or a test.
func record(ctx context.Context, args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	flags := flag.NewFlagSet(collectWord, flag.ContinueOnError)
	flags.SetOutput(errs)

	file := flags.String("out", "", "the `file` to write, - for standard output; named after the machine when empty")
	scrub := flags.Bool("scrub", false, "replace serial numbers, addresses, UUIDs and host names by others of the same form")
	key := flags.String("scrub-key", "", "the `words` that recordings share which are to have the same stand-ins; chance when empty")

	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}

	running := collect.Source{Root: os.DirFS("/"), Bus: disk.System{}, Ports: probe.System{}, BMC: &ipmi.System{}, Kmsg: collect.Kmsg}

	files, err := collect.Record(ctx, running)
	if err == nil && *scrub {
		files, err = scrubbed(files, *key)
	}

	if err == nil {
		err = save(files, *file, out, errs)
	}

	if err != nil {
		fmt.Fprintln(errs, "vetting-agent:", err)

		return 1
	}

	return 0
}

func scrubbed(files collect.Files, key string) (collect.Files, error) {
	if key != "" {
		return files.Scrub([]byte(key))
	}

	chance := make([]byte, 32)
	if _, err := rand.Read(chance); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}

	return files.Scrub(chance)
}

// save writes the archive, and says on errs what is not in it.
func save(files collect.Files, name string, out, errs io.Writer) (err error) {
	folder := files.FolderName()
	if name == "" {
		name = folder + ".tar.zst"
	}

	if name != "-" {
		if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("writing recording: %s is no plain file; give the name of a new one", name)
		}

		file, err := os.Create(name)
		if err != nil {
			return fmt.Errorf("writing recording: %w", err)
		}

		defer func() { err = errors.Join(err, file.Close()) }()

		out = file
	}

	buffer := bufio.NewWriter(out)
	if err := errors.Join(files.WriteArchive(buffer, folder), buffer.Flush()); err != nil {
		return err
	}

	if unread := files.Unread(); len(unread) > 0 {
		fmt.Fprintf(errs, "%d things could not be read, for want of rights or since they did not answer; they are listed in %s/unread:\n", len(unread), folder)

		for _, line := range unread[:min(len(unread), 10)] {
			fmt.Fprintln(errs, " ", line)
		}
	}

	fmt.Fprintf(errs, "recorded %s in %s\n", folder, name)

	return nil
}
