package storage

import (
	"context"
	"fmt"
	"io"
	"time"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
)

// Look looks for somebody's data on a disk of so many bytes, of sectors of so many.
type Look func(ctx context.Context, r io.ReaderAt, size int64, sector int) (Found, error)

// Found is what it found.
type Found struct {
	Signatures []string // "ext4 (filesystem) at 1080"
	Labels     []string
	Samples    int // read from all over the disk
	NonBlank   int // of them
}

// view shows a disk as if the blocks that a test of ours has written were blank: they
// are nobody's data. It reads whole blocks into memory that the disk can write to,
// whatever it is asked for. It is for one goroutine.
type view struct {
	disk    io.ReaderAt
	size    int64
	pattern *pattern
	buffer  []byte // request bytes
	moved   func()
}

// ReadAt reads as io.ReaderAt does.
func (v *view) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fmt.Errorf("reading at %d: negative", offset)
	}

	for n < len(p) {
		at := offset + int64(n)
		if at >= v.size {
			return n, io.EOF
		}

		start := at / BlockSize * BlockSize
		end := min((offset+int64(len(p))+BlockSize-1)/BlockSize*BlockSize, start+int64(len(v.buffer)), v.size)
		chunk := v.buffer[:end-start]

		if _, err := v.disk.ReadAt(chunk, start); err != nil {
			return n, err
		}

		v.moved()
		v.hide(chunk)

		n += copy(p[n:], chunk[at-start:])
	}

	return n, nil
}

func (v *view) hide(chunk []byte) {
	for at := 0; at+BlockSize <= len(chunk); at += BlockSize {
		if _, ours := v.pattern.read(chunk[at : at+BlockSize]); ours {
			clear(chunk[at : at+BlockSize])
		}
	}
}

// prober makes of a Look what agent/blockdev asks for. Without a Look there is none,
// and nothing is written.
func (c *crew) prober(moved func()) blockdev.Prober {
	if c.look == nil {
		return nil
	}

	return func(ctx context.Context, r io.ReaderAt, d diskguard.Disk) (p diskguard.Probe, err error) {
		buffer, err := c.buffer(request)
		if err != nil {
			return p, err
		}
		defer c.free(buffer)

		v := &view{disk: r, size: int64(d.SizeBytes), pattern: c.pattern, buffer: buffer, moved: moved}

		found, err := c.look(ctx, v, int64(d.SizeBytes), d.Block)
		if err != nil {
			return p, err
		}

		return diskguard.Probe{
			Done: true, At: c.now(), Signatures: found.Signatures, Labels: found.Labels,
			Samples: found.Samples, Foreign: found.NonBlank, BlankOnly: c.BlankOnly,
		}, nil
	}
}

// since is a moment of the clock that the worker shares with who started it.
func since(boot int64) time.Time { return time.Unix(0, boot) }
