package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"vetting/initramfs/cpio"
	"vetting/initramfs/manifest"
)

const (
	agentBlob     = "agent.cpio"
	hostAgentBlob = "vetting-agent-linux-amd64.gz"
)

// program is the compiled agent with what it is made of.
type program struct {
	binary    []byte
	goVersion string
	packages  []manifest.Package
	texts     map[string]string
}

func (p program) sum() string { return manifest.Sum(p.binary) }

// packed returns the program for installed hosts as the appliance carries it. The
// header has no name and no time, so the bytes depend on the program alone.
func (p program) packed() ([]byte, error) {
	var out bytes.Buffer

	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("packing the agent: %w", err)
	}

	if _, err := w.Write(p.binary); err != nil {
		return nil, fmt.Errorf("packing the agent: %w", err)
	}

	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing the agent: %w", err)
	}

	return out.Bytes(), nil
}

// compileAgent compiles the agent statically, so that the bytes depend on the
// source and the toolchain only.
func (b *builder) compileAgent(ctx context.Context) (program, error) {
	out := filepath.Join(b.cache, "agent")

	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, b.agent) //nolint:gosec // the person who builds names the package
	if text, err := cmd.CombinedOutput(); err != nil {
		return program{}, fmt.Errorf("compiling the agent %s: %w\n%s", b.agent, err, bytes.TrimSpace(text))
	}

	binary, err := os.ReadFile(out) //nolint:gosec // just written
	if err != nil {
		return program{}, fmt.Errorf("compiling the agent: %w", err)
	}

	packages, texts, err := goModules(ctx, []string{baseBlob, hostAgentBlob}, nil, b.agent)
	if err != nil {
		return program{}, err
	}

	return program{binary: binary, goVersion: runtime.Version(), packages: packages, texts: texts}, nil
}

// buildAgent makes only the agent, as a segment to be loaded after the others: it
// overrides /init, and the manifest so that the agent's own check holds.
func (b *builder) buildAgent(ctx context.Context) error {
	old := b.previous()
	if old.ID == "" {
		return fmt.Errorf("there is no image in %s for the agent to go with; build it first", b.out)
	}

	agent, err := b.compileAgent(ctx)
	if err != nil {
		return err
	}

	of, ok := old.Blob(manifest.RoleManifest)
	if !ok {
		return errors.New("the image has no manifest; build it anew")
	}

	encoded, err := b.load(of)
	if err != nil {
		return err
	}

	m, err := manifest.Decode(encoded)
	if err != nil {
		return err
	}

	init := slices.IndexFunc(m.Files, func(f manifest.File) bool { return f.Path == "/init" })
	if init < 0 {
		return errors.New("the manifest of the image does not list /init")
	}

	m.Files[init].Size, m.Files[init].SHA256 = int64(len(agent.binary)), agent.sum()

	if encoded, err = m.Encode(); err != nil {
		return err
	}

	segment := cpio.Pack(withParents([]cpio.Entry{file("init", 0o755, agent.binary), file(manifest.Path, 0o644, encoded)}))

	d := old.Description
	d.ID = manifest.ID(encoded)
	d.Blobs = slices.DeleteFunc(slices.Clone(d.Blobs), func(of manifest.Blob) bool {
		return of.Role == manifest.RoleAgent || of.Role == manifest.RoleHostAgent
	})

	packed, err := agent.packed()
	if err != nil {
		return err
	}

	err = b.write(&d, old.Description, []blob{
		{name: agentBlob, role: manifest.RoleAgent, data: segment},
		{name: hostAgentBlob, role: manifest.RoleHostAgent, data: packed},
	})
	if err != nil {
		return err
	}

	return b.report(d)
}
