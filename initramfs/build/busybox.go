package main

import (
	"context"
	_ "embed"
	"fmt"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/mkuimage/uimage/initramfs"
	"github.com/u-root/uio/llog"

	"vetting/initramfs/cpio"
	"vetting/initramfs/manifest"
)

// shellTag picks gosh's small line editor: the other one asks the terminal
// questions that a serial line does not answer.
const shellTag = "goshliner"

//go:embed command.go
var commandSource string

// busybox is the rescue shell: all commands in one program, with their names as
// links to it.
type busybox struct {
	key      string
	entries  []cpio.Entry
	packages []manifest.Package
	texts    map[string]string
}

// commands reads the list of packages out of command.go.
func commands() ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "command.go", commandSource, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("listing commands: %w", err)
	}

	names := make([]string, 0, len(parsed.Imports))

	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("listing commands: %w", err)
		}

		names = append(names, name)
	}

	return names, nil
}

// busybox compiles the rescue shell, or takes it from the cache: it does not
// depend on our own source, and takes more than a minute.
func (b *builder) busybox(ctx context.Context) (busybox, error) {
	names, err := commands()
	if err != nil {
		return busybox{}, err
	}

	packages, texts, err := goModules(ctx, []string{baseBlob}, []string{shellTag}, names...)
	if err != nil {
		return busybox{}, err
	}

	inputs := append([]string{"1", runtime.Version(), shellTag}, names...) // raise the number when the recipe changes
	for _, p := range packages {
		inputs = append(inputs, p.Name+" "+p.Version)
	}

	shell := busybox{key: key(inputs...), packages: packages, texts: texts}
	archive := filepath.Join(b.cache, "busybox-"+shell.key[:16]+".cpio")

	if _, err := os.Stat(archive); err != nil || b.force {
		if err := b.compileBusybox(ctx, archive, names); err != nil {
			return busybox{}, err
		}
	}

	data, err := os.ReadFile(archive) //nolint:gosec // a file of our cache
	if err != nil {
		return busybox{}, fmt.Errorf("reading busybox: %w", err)
	}

	shell.entries, err = cpio.Unpack(data)

	return shell, err
}

func (b *builder) compileBusybox(ctx context.Context, archive string, names []string) error {
	b.say("compiling %d commands of u-root into one program, which takes a minute or two", len(names))

	// Asked of the go command, and not left to the library: a builder that was itself
	// compiled with -trimpath, as GOFLAGS may say, does not know where Go is.
	goroot, err := goRoot(ctx)
	if err != nil {
		return err
	}

	tmp, err := os.MkdirTemp(b.cache, "busybox-")
	if err != nil {
		return fmt.Errorf("compiling busybox: %w", err)
	}
	defer os.RemoveAll(tmp)

	log := llog.New(slog.LevelWarn, func(format string, args ...any) { b.say(strings.TrimSpace(format), args...) })
	made := filepath.Join(tmp, "busybox.cpio")

	err = uimage.Create(log,
		uimage.WithReplaceEnv(golang.Default(golang.DisableCGO(), golang.WithGOROOT(goroot), golang.WithGOOS("linux"), golang.WithGOARCH("amd64"), golang.WithBuildTag(shellTag))),
		uimage.WithOutput(&initramfs.CPIOFile{Path: made}),
		uimage.WithTempDir(tmp),
		uimage.WithSkipLDD(),
		uimage.WithBusyboxCommands(names...),
		uimage.WithShell("gosh"),
	)
	if err != nil {
		return fmt.Errorf("compiling busybox: %w", err)
	}

	if err := os.Rename(made, archive); err != nil {
		return fmt.Errorf("compiling busybox: %w", err)
	}

	return nil
}
