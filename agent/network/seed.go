package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
)

const (
	maxSeed  = 1 << 20 // bytes of the archive; a real one has under 2 kB
	seedWait = 10 * time.Second
)

// FetchSeed asks the appliance for the seed archive of this machine and returns
// the file of the given name in it. It is for boot paths that can load only one
// image; the appliance answers the leased address alone.
func FetchSeed(ctx context.Context, server netip.Addr, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, seedWait)
	defer cancel()

	return fetch(ctx, "http://"+netip.AddrPortFrom(server, 80).String()+"/seed/self.cpio", name)
}

// fetch returns a file of the archive at an URL.
func fetch(ctx context.Context, url, name string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the seed: %w", err)
	}

	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the seed: %w", err)
	}

	defer resp.Body.Close() //nolint:errcheck // read to its end below

	archive, err := io.ReadAll(io.LimitReader(resp.Body, maxSeed))
	if err != nil {
		return nil, fmt.Errorf("reading the seed: %w", err)
	}

	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for the seed: the appliance answers %s", resp.Status)
	}

	return FileInArchive(archive, name)
}

// FileInArchive returns the content of a file of a newc archive.
func FileInArchive(archive []byte, name string) ([]byte, error) {
	records := cpio.Newc.Reader(bytes.NewReader(archive))

	for {
		record, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the seed: %s is not in it", name)
		}

		if err != nil {
			return nil, fmt.Errorf("reading the seed: %w", err)
		}

		if strings.TrimPrefix(record.Name, "/") == strings.TrimPrefix(name, "/") {
			content, err := io.ReadAll(io.LimitReader(io.NewSectionReader(record, 0, maxSeed), maxSeed))
			if err != nil {
				return nil, fmt.Errorf("reading the seed: %w", err)
			}

			return content, nil
		}
	}
}
