//go:build linux

package load

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/agent/wire"
)

// Storm is a rack that is switched on at once: each host leases an address, loads its
// boot program by TFTP, asks for its script until it is its turn, and loads all that the
// script names, the seed last.
type Storm struct {
	Interface string
	Server    netip.Addr
	Bits      int // length of the network
	Hosts     int
	Loader    string // by TFTP
}

// StormResult is what came of it.
type StormResult struct {
	Served    int     `json:"served"`    // hosts that have a seed of their own run
	Doubled   int     `json:"doubled"`   // addresses and boot tokens that more than one host got
	Parked    int     `json:"parked"`    // hosts that had to wait for their turn
	Overtaken int     `json:"overtaken"` // the most hosts that asked after one was told to wait and had their turn before it
	Bytes     int64   `json:"bytes"`     // by TFTP and HTTP
	Seconds   float64 `json:"seconds"`   // from the first DISCOVER to the last seed
}

// arrival is one host's way.
type arrival struct {
	addr  netip.Addr
	seed  wire.Seed
	bytes int64

	// The script: first asked for, first answered, given.
	asked, heard, given time.Time
	parked              bool
}

// Run boots all hosts at once. One that is not served is an error.
func (s Storm) Run(ctx context.Context) (StormResult, error) {
	hosts := make([]arrival, s.Hosts)
	begin := time.Now()

	group, ctx := errgroup.WithContext(ctx)
	for i := range hosts {
		group.Go(func() error { return s.boot(ctx, i, &hosts[i]) })
	}

	if err := group.Wait(); err != nil {
		return StormResult{}, err
	}

	return judge(hosts, time.Since(begin)), nil
}

// judge sums up what the hosts met with.
func judge(hosts []arrival, took time.Duration) StormResult {
	result := StormResult{Seconds: took.Seconds()}
	addrs, tokens := map[netip.Addr]bool{}, map[string]bool{}

	for i := range hosts {
		at := &hosts[i]
		if addrs[at.addr] || tokens[at.seed.BootToken] {
			result.Doubled++
		}

		addrs[at.addr], tokens[at.seed.BootToken] = true, true
		result.Bytes += at.bytes

		if at.seed.MAC == MAC(i) {
			result.Served++
		}

		if at.parked {
			result.Parked++
		}

		overtook := 0

		for j := range hosts {
			if hosts[j].asked.After(at.heard) && hosts[j].given.Before(at.given) {
				overtook++
			}
		}

		result.Overtaken = max(result.Overtaken, overtook)
	}

	return result
}

// boot is the way of host i.
func (s Storm) boot(ctx context.Context, i int, at *arrival) (err error) {
	if at.addr, err = Lease(ctx, s.Interface, hardware(i)); err != nil {
		return fmt.Errorf("leasing an address for %s: %w", MAC(i), err)
	}

	if err := addAddresses(s.Interface, []netip.Addr{at.addr}, s.Bits); err != nil {
		return err
	}

	loader := TFTP{Server: s.Server.String(), From: []string{at.addr.String()}, File: s.Loader, Block: 1456}
	if at.bytes, err = loader.fetch(ctx, 0, rand.New(rand.NewPCG(0, 0))); err != nil { //nolint:gosec // nothing is lost by chance
		return fmt.Errorf("loading %s for %s: %w", s.Loader, MAC(i), err)
	}

	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.addr, 0)), Timeout: time.Minute}
	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, MaxConnsPerHost: 1}}

	defer client.CloseIdleConnections()

	script, err := s.turn(ctx, client, i, at)
	if err != nil {
		return fmt.Errorf("the script of %s: %w", MAC(i), err)
	}

	return s.load(ctx, client, script, at)
}

// turn asks for the script until it is the host's turn.
func (s Storm) turn(ctx context.Context, client *http.Client, i int, at *arrival) ([]byte, error) {
	at.asked = time.Now()

	for {
		script, wait, err := ask(ctx, client, "http://"+s.Server.String()+"/ipxe/"+MAC(i))

		now := time.Now()
		if at.heard.IsZero() {
			at.heard = now
		}

		if wait == 0 {
			at.given = now

			return script, err
		}

		at.parked = true

		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// named matches what a boot script loads, in its order.
var named = regexp.MustCompile(`\$\{base\}(/(?:boot|overlay)/\S+)`)

// load fetches what the script names.
func (s Storm) load(ctx context.Context, client *http.Client, script []byte, at *arrival) error {
	var paths []string

	for _, match := range named.FindAllSubmatch(script, -1) {
		if path := string(match[1]); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}

	for _, path := range paths {
		n, err := s.discard(ctx, client, path)
		if err != nil {
			return err
		}

		at.bytes += n
	}

	path, err := seedPath(string(script))
	if err != nil {
		return err
	}

	archive, err := fetchText(ctx, client, "http://"+s.Server.String()+path)
	if err != nil {
		return err
	}

	at.seed, err = readSeed(archive)

	return err
}

// discard fetches a file and drops it.
func (s Storm) discard(ctx context.Context, client *http.Client, path string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Server.String()+path, nil)
	if err != nil {
		return 0, err
	}

	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read

	n, err := io.Copy(io.Discard, answer.Body)

	switch {
	case err != nil:
		return n, err
	case answer.StatusCode != http.StatusOK || n != answer.ContentLength:
		return n, fmt.Errorf("%s answers %s with %d bytes", path, answer.Status, n)
	default:
		return n, nil
	}
}
