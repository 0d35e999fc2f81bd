//go:build linux

package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
	"github.com/vishvananda/netlink"

	"vetting/agent/wire"
)

// addAddresses gives the interface all the addresses.
func addAddresses(name string, addrs []netip.Addr, bits int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}

	for _, addr := range addrs {
		if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, 32)}}); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", name, addr, err)
		}
	}

	return nil
}

// fetchSeed does what a boot loader does: the script of the MAC from its leased
// address, then the seed archive that the script names.
func fetchSeed(ctx context.Context, server, addr netip.Addr, mac string) (seed wire.Seed, err error) {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}

	script, err := fetchText(ctx, client, "http://"+server.String()+"/ipxe/"+mac)
	if err != nil {
		return seed, err
	}

	path, err := seedPath(string(script))
	if err != nil {
		return seed, err
	}

	archive, err := fetchText(ctx, client, "http://"+server.String()+path)
	if err != nil {
		return seed, err
	}

	return readSeed(archive)
}

// fetchText waits for its turn as iPXE does: 503 and Retry-After.
func fetchText(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	for {
		text, wait, err := ask(ctx, client, url)
		if wait == 0 {
			return text, err
		}

		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// ask asks once. Where wait is not 0, err says that it is not the asker's turn yet.
func ask(ctx context.Context, client *http.Client, url string) (text []byte, wait time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}

	answer, err := client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read

	switch answer.StatusCode {
	case http.StatusOK:
		text, err = io.ReadAll(io.LimitReader(answer.Body, 1<<20))

		return text, 0, err
	case http.StatusServiceUnavailable:
		if seconds, notNumber := strconv.Atoi(answer.Header.Get("Retry-After")); notNumber == nil {
			wait = time.Duration(max(1, seconds)) * time.Second
		}
	}

	return nil, wait, fmt.Errorf("%s answers %s", url, answer.Status)
}

// readSeed reads the one file of a seed archive.
func readSeed(archive []byte) (seed wire.Seed, err error) {
	err = cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(archive)), func(record cpio.Record) error {
		if !strings.HasSuffix(record.Name, ".json") {
			return nil
		}

		text, err := io.ReadAll(io.NewSectionReader(record, 0, int64(record.FileSize))) //nolint:gosec // capped by the archive
		if err != nil {
			return err
		}

		return json.Unmarshal(text, &seed)
	})
	if err != nil {
		return seed, fmt.Errorf("reading the seed archive: %w", err)
	}

	return seed, seed.Validate()
}

// usage is what the appliance took until a moment.
type usage struct {
	at       time.Time
	cpu      time.Duration
	resident int64
}

// measureAfter waits, then reads the appliance's use.
func (f *fleet) measureAfter(ctx context.Context, wait time.Duration) (usage, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return usage{}, ctx.Err()
	case <-timer.C:
	}

	now := usage{at: time.Now()}

	var err error
	now.cpu, now.resident, err = process(f.PID)

	return now, err
}

// process reads a process's processor time and resident memory from
// /proc/PID/stat (proc_pid_stat(5), fields 14, 15 and 24).
func process(pid int) (time.Duration, int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the appliance's use: %w", err)
	}

	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on

	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)

	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("reading the appliance's use: %d fields in stat", len(fields))
	}

	var ticks, pages int64
	for i, at := range []int{11, 12, 21} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the appliance's use: %w", err)
		}

		if i < 2 {
			ticks += n
		} else {
			pages = n
		}
	}

	return time.Duration(ticks) * tick, pages * int64(os.Getpagesize()), nil
}
