package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"vetting/initramfs/cpio"
	"vetting/initramfs/manifest"
)

const (
	baseBlob     = "base.cpio.zst"
	manifestBlob = "manifest.json"
)

// base makes the base segment: folders, the rescue shell, the agent as /init, and
// the manifest of the whole image; and the agent as it is, for installed hosts.
// It returns the image's id with it.
func (b *builder) base(distro part, shell busybox, agent program, source string, old image) (p part, id string, err error) {
	modules := distro.data(manifest.RoleModules)
	p = part{
		name: "base", key: key(source, distro.key, manifest.Sum(modules), shell.key, agent.sum()),
		packages: merge(shell.packages, agent.packages), texts: maps.Clone(shell.texts),
	}
	maps.Copy(p.texts, agent.texts)

	if done, ok := b.reuse(old, p.name, p.key, manifest.RoleBase, manifest.RoleManifest, manifest.RoleHostAgent); ok {
		return done, manifest.ID(done.data(manifest.RoleManifest)), nil
	}

	entries := withParents(slices.Concat(skeleton(), shell.entries, []cpio.Entry{file("init", 0o755, agent.binary)}))

	encoded, err := encodeManifest(distro, entries)
	if err != nil {
		return part{}, "", err
	}

	// The manifest comes last, so that a system that is cut off has none.
	entries = append(entries, file(manifest.Path, 0o644, encoded))

	b.say("compressing the base segment")

	packed, err := compress(cpio.Pack(entries))
	if err != nil {
		return part{}, "", err
	}

	program, err := agent.packed()
	if err != nil {
		return part{}, "", err
	}

	p.blobs = []blob{
		{name: baseBlob, role: manifest.RoleBase, data: cpio.Pad(packed)},
		{name: manifestBlob, role: manifest.RoleManifest, data: encoded},
		{name: hostAgentBlob, role: manifest.RoleHostAgent, data: program},
	}

	return p, manifest.ID(encoded), nil
}

// compress packs with zstd, one thread so that the bytes do not depend on timing.
// The window stays below what the kernel's unpacker allows (128 MiB).
func compress(data []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(32<<20))
	if err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	defer func() { _ = encoder.Close() }() // everything is in EncodeAll's answer

	return encoder.EncodeAll(data, nil), nil
}

// skeleton is what a system needs before its first program runs. There is no
// resolver and no host name: the agent sets both up.
func skeleton() []cpio.Entry {
	entries := []cpio.Entry{
		{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1},
		{Name: "dev/null", Mode: cpio.Char | 0o666, Major: 1, Minor: 3},
		{Name: "tmp", Mode: cpio.Dir | 0o1777},
		{Name: "root", Mode: cpio.Dir | 0o700},
		file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n")),
		file("etc/group", 0o644, []byte("root:x:0:\n")),
		file("etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n")),
	}

	for _, dir := range []string{path.Dir(manifest.Path), "mnt", "proc", "run", "sys", "var/log"} {
		entries = append(entries, cpio.Entry{Name: dir, Mode: cpio.Dir | 0o755})
	}

	return entries
}

func file(name string, permissions uint32, data []byte) cpio.Entry {
	return cpio.Entry{Name: name, Mode: cpio.Regular | permissions, Data: data}
}

// withParents sorts entries by name and adds the folders that are missing. An
// entry given later replaces an earlier one of the same name.
func withParents(entries []cpio.Entry) []cpio.Entry {
	all := map[string]cpio.Entry{}

	for _, e := range entries {
		all[e.Name] = e

		for dir := path.Dir(e.Name); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = cpio.Entry{Name: dir, Mode: cpio.Dir | 0o755}
			}
		}
	}

	return slices.SortedFunc(maps.Values(all), func(a, b cpio.Entry) int { return strings.Compare(a.Name, b.Name) })
}

// encodeManifest lists the files of base and of the modules segment.
func encodeManifest(distro part, base []cpio.Entry) ([]byte, error) {
	packed, err := cpio.Unpack(distro.data(manifest.RoleModules))
	if err != nil {
		return nil, fmt.Errorf("listing modules: %w", err)
	}

	m := manifest.Manifest{Version: manifest.Version}

	for segment, entries := range map[string][]cpio.Entry{manifest.SegmentBase: base, manifest.SegmentModules: packed} {
		for _, e := range entries {
			if e.IsRegular() {
				m.Files = append(m.Files, manifest.File{
					Path: "/" + e.Name, Size: int64(len(e.Data)), SHA256: manifest.Sum(e.Data), Segment: segment,
				})
			}

			if name, ok := strings.CutPrefix(e.Name, "lib/modules/"); ok && !strings.Contains(name, "/") {
				m.Kernel = name
			}
		}
	}

	return m.Encode()
}
