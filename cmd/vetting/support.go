package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxJournal is how many lines of the service's log are put into a bundle.
const maxJournal = "20000"

// maxSupport bounds one file of a bundle.
const maxSupport = 16 << 20

// supportCommand writes what somebody needs who helps from afar.
func (c *cli) supportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "support FILE", Aliases: []string{"support-bundle"}, Short: "Write a bundle for those who help: what doctor finds, settings, machine and log, without secrets", Args: exactly("FILE"),
		Long: "A tar, compressed with gzip, that you can look into before you give it away. Passwords, keys, tokens and one-time links are not in it;\n" +
			"names and addresses of hosts that stand in the log are. Give it the same flags and the same user as serve, or root.",
		Example: "  sudo vetting support vetting-support.tar.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := c.bundle(cmd, time.Now())
			if err != nil {
				return err
			}

			if err := writeSecret(args[0], text); err != nil {
				return err
			}

			_, err = fmt.Fprintf(c.out, "%s: %d KiB; look into it with: tar tzf %s\n", args[0], (len(text)+1023)/1024, args[0])

			return err
		},
	}
	settingFlags(cmd)

	return cmd
}

// bundle makes the archive. What cannot be found out stands in its place.
func (c *cli) bundle(cmd *cobra.Command, now time.Time) ([]byte, error) {
	out := &bytes.Buffer{}
	pack := gzip.NewWriter(out)
	archive := tar.NewWriter(pack)

	for _, part := range []struct {
		name string
		text func() (string, error)
	}{
		{"version.txt", func() (string, error) { return "vetting " + version() + "\n", nil }},
		{"doctor.json", func() (string, error) {
			text, err := json.MarshalIndent(c.examineMachine(cmd, false, false), "", "  ")

			return string(text), err
		}},
		{"settings.txt", func() (string, error) { return c.settingsFor(cmd) }},
		{"data.txt", func() (string, error) { return c.listing(cmd) }},
		{"machine.txt", machineText},
		{"journal.txt", func() (string, error) {
			said, errs, _, err := runChild(cmd.Context(), "/usr/bin/journalctl", []string{"journalctl", "--no-pager", "-o", "short-iso", "-n", maxJournal, "-u", "vetting"})

			return string(said) + string(errs), err
		}},
	} {
		text, err := part.text()
		if err != nil {
			text += "\nnot found out: " + withoutText(err) + "\n"
		}

		text = withoutSecrets(text[:min(len(text), maxSupport)])

		head := &tar.Header{Typeflag: tar.TypeReg, Name: "vetting-support/" + part.name, Mode: 0o600, Size: int64(len(text)), ModTime: now}
		if err := archive.WriteHeader(head); err != nil {
			return nil, fmt.Errorf("writing the bundle: %w", err)
		}

		if _, err := io.WriteString(archive, text); err != nil {
			return nil, fmt.Errorf("writing the bundle: %w", err)
		}
	}

	if err := errors.Join(archive.Close(), pack.Close()); err != nil {
		return nil, fmt.Errorf("writing the bundle: %w", err)
	}

	return out.Bytes(), nil
}

// withoutSecrets takes out what opens something: API tokens, one-time links, passwords
// in URLs and the sum of the quick-register line's key.
func withoutSecrets(text string) string {
	for _, r := range []struct{ what, with string }{
		{`vet_[A-Za-z0-9_-]+`, "vet_[hidden]"},
		{`([?&](?:token|key|secret|password)=)[^\s&"']+`, "${1}[hidden]"},
		{`(://[^/\s:@]+:)[^/\s@]+@`, "${1}[hidden]@"},
		{`(?i)(password|secret|token|authorization)(["']?\s*[:=]\s*["']?)(?:bearer\s+)?[^\s"',}]+`, "${1}${2}[hidden]"},
	} {
		text = regexp.MustCompile(r.what).ReplaceAllString(text, r.with)
	}

	return text
}

// settingsFor lists every setting, with where it comes from.
func (c *cli) settingsFor(cmd *cobra.Command) (string, error) {
	config, source, err := c.loadSettled(cmd)
	if err != nil {
		return "", err
	}

	all := &live{}
	all.set(&config, source.origin, nil)

	text := &strings.Builder{}
	for _, s := range all.settings() {
		fmt.Fprintf(text, "%s: %s  # %s\n", s.Key, s.Value, s.Origin)
	}

	return text.String(), nil
}

// listing lists the files of the data directory with sizes and owners, and nothing of
// what is in them.
func (c *cli) listing(cmd *cobra.Command) (string, error) {
	config, _, err := c.load(cmd)
	if err != nil {
		return "", err
	}

	text := &strings.Builder{}

	err = filepath.WalkDir(config.DataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintf(text, "%s: %v\n", path, err)

			return nil
		}

		if at, err := d.Info(); err == nil {
			fmt.Fprintf(text, "%s %12d %s %s\n", at.Mode(), at.Size(), at.ModTime().UTC().Format(time.RFC3339), path)
		}

		return nil
	})

	return text.String(), err
}

// machineText says what the appliance runs on.
func machineText() (string, error) {
	text := &strings.Builder{}

	var faults []error

	for _, path := range []string{
		"/etc/os-release", "/proc/version", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/mounts", "/proc/net/dev", "/proc/net/route", "/proc/self/status",
	} {
		content, err := os.ReadFile(path)
		faults = append(faults, err)

		fmt.Fprintf(text, "== %s\n%s\n", path, content)
	}

	return text.String(), errors.Join(faults...)
}
