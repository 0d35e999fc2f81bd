package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

const (
	fileDir    = "files"
	filesLimit = 64 << 20 // bytes of files that wait; the oldest go first
	filesEvery = 2 * time.Second
)

const chanFile channel = "file"

// file is one that waits to be sent; its name in the folder tells all of it.
type file struct {
	path  string
	stage wire.StageName
	name  string
}

// files keeps what stages leave behind for people to read until the appliance has
// it: in the folder of the session, so that it outlives this process. Safe for
// concurrent use.
type files struct {
	dir string
	box *outbox[file]
	say *slog.Logger

	mu   sync.Mutex
	last int // guarded by mu: number of the newest file
}

// fileBox returns the files of this boot, those that a process before has left
// included.
func (a *agent) fileBox() *files {
	f := &files{dir: filepath.Join(a.StateDir, fileDir), say: a.say}
	f.box = &outbox[file]{
		name: chanFile, ring: newRing[file](filesLimit), every: filesEvery, count: 1, weight: filesLimit,
		next: func(channel) (uint64, error) { return 0, nil }, log: a.say, hurry: make(chan struct{}, 1),
		send: func(ctx context.Context, _ uint64, items []file) error { return f.send(ctx, a, items[0]) },
		lost: func(n int, why string) {
			a.say.Error("files were lost", slog.Int("files", n), slog.String("why", why))
		},
	}

	f.find()

	return f
}

// find takes in what lies in the folder.
func (f *files) find() {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.say.Warn("files of a process before are lost", slog.String("error", err.Error()))
	}

	for _, entry := range entries {
		words := strings.SplitN(entry.Name(), " ", 3) // the stage may be empty
		number, err := strconv.Atoi(words[0])
		info, statErr := entry.Info()

		if err != nil || statErr != nil || len(words) != 3 || strings.HasSuffix(words[2], ".new") {
			_ = os.Remove(filepath.Join(f.dir, entry.Name())) // half written

			continue
		}

		f.last = max(f.last, number)
		f.box.ring.push(file{filepath.Join(f.dir, entry.Name()), wire.StageName(words[1]), words[2]}, int(info.Size()))
	}
}

// keep takes a file in. One that cannot be written is lost, and the log says so.
func (f *files) keep(stage core.StageName, name string, content []byte) {
	name = plainName(name)

	f.mu.Lock()
	defer f.mu.Unlock()

	f.last++
	item := file{filepath.Join(f.dir, fmt.Sprintf("%06d %s %s", f.last, stage, name)), wire.StageName(stage), name}

	err := os.MkdirAll(f.dir, 0o700)
	if err == nil {
		err = os.WriteFile(item.path+".new", content, 0o600)
	}

	if err == nil {
		err = os.Rename(item.path+".new", item.path)
	}

	if err != nil {
		f.say.Error("a file is lost", slog.String("file", name), slog.String("error", err.Error()))

		return
	}

	f.box.ring.push(item, len(content))
}

// plainName makes a name fit for a folder and for the wire.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return r
		}

		return '-'
	}, name)

	return cut(strings.Trim(name, "."), wire.MaxName/2)
}

// send sends one file and removes it, with those that the ring has forgotten.
func (f *files) send(ctx context.Context, a *agent, item file) error {
	content, err := os.ReadFile(item.path)
	if err != nil {
		f.say.Error("a file is lost", slog.String("file", item.name), slog.String("error", err.Error()))

		return nil
	}

	_, err = a.client.Artifact(ctx, a.session.token(), item.name, item.stage, content)

	if _, refused := errors.AsType[*Refusal](err); err == nil || refused && meaningOf(err) == meansRefused {
		f.forget(item.path)
	}

	return err
}

// forget removes a file and all before it, which were sent or dropped.
func (f *files) forget(path string) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return
	}

	for _, entry := range slices.Backward(entries) {
		if older := filepath.Join(f.dir, entry.Name()); older <= path {
			_ = os.Remove(older) // found again at the next start, at worst
		}
	}
}
