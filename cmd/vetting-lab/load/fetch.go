//go:build linux

package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

type unixConn = syscall.RawConn

// Fetch is a crowd of HTTP clients, each with one connection, that fetch a list
// of files again and again. The bodies are dropped inside the kernel, so that
// the client costs next to nothing.
type Fetch struct {
	Address string   // host:port
	From    []string // addresses that the clients speak from, in turn; none: the kernel's choice
	Paths   []string // fetched in turn
	Clients int
	Times   int // times that each client fetches the whole list
}

// FetchResult is what came of it.
type FetchResult struct {
	Bytes   int64   `json:"bytes"` // of bodies
	Seconds float64 `json:"seconds"`
	MiBps   float64 `json:"mib_per_second"`
}

// Run measures from the first request to the end of the last body.
func (f Fetch) Run(ctx context.Context) (FetchResult, error) {
	group, ctx := errgroup.WithContext(ctx)
	sizes := make([]int64, f.Clients)
	begin := time.Now()

	for i := range f.Clients {
		group.Go(func() (err error) {
			sizes[i], err = f.one(ctx, i)

			return err
		})
	}

	if err := group.Wait(); err != nil {
		return FetchResult{}, err
	}

	return fetched(begin, sizes), nil
}

// fetched sums up what clients got since begin, a size each.
func fetched(begin time.Time, sizes []int64) FetchResult {
	result := FetchResult{Seconds: time.Since(begin).Seconds()}
	for _, size := range sizes {
		result.Bytes += size
	}

	result.MiBps = float64(result.Bytes) / (1 << 20) / result.Seconds

	return result
}

// one is one client.
func (f Fetch) one(ctx context.Context, i int) (total int64, err error) {
	dialer := net.Dialer{}
	if len(f.From) > 0 {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(f.From[i%len(f.From)])}
	}

	conn, err := dialer.DialContext(ctx, "tcp4", f.Address)
	if err != nil {
		return 0, fmt.Errorf("reaching %s: %w", f.Address, err)
	}
	defer conn.Close() //nolint:errcheck // everything was read

	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() //nolint:errcheck // to end the reading

	raw, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, errors.New("a TCP connection of another kind")
	}

	reader := bufio.NewReaderSize(conn, 4096)

	for range f.Times {
		for _, path := range f.Paths {
			size, err := f.get(raw, reader, path)
			if err != nil {
				return total, fmt.Errorf("fetching %s: %w", path, err)
			}

			total += size
		}
	}

	return total, nil
}

func (f Fetch) get(conn *net.TCPConn, reader *bufio.Reader, path string) (int64, error) {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: iPXE/1.21.1\r\n\r\n", path, f.Address); err != nil {
		return 0, err
	}

	answer, err := http.ReadResponse(reader, nil) //nolint:bodyclose // dropped by the kernel, see drop
	if err != nil {
		return 0, err
	}

	if answer.StatusCode != http.StatusOK || answer.ContentLength < 0 {
		return 0, fmt.Errorf("status %s, %d bytes", answer.Status, answer.ContentLength)
	}

	held := min(int64(reader.Buffered()), answer.ContentLength)
	if _, err := reader.Discard(int(held)); err != nil {
		return 0, err
	}

	return answer.ContentLength, drop(conn, answer.ContentLength-held)
}

// drop has the kernel throw size bytes away (tcp(7): MSG_TRUNC).
func drop(conn *net.TCPConn, size int64) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}

	scratch := make([]byte, min(size, 1<<20))

	for size > 0 {
		var got int

		var fault error

		if err := raw.Read(func(fd uintptr) bool {
			got, _, fault = unix.Recvfrom(int(fd), scratch[:min(size, 1<<20)], unix.MSG_TRUNC|unix.MSG_DONTWAIT) //nolint:gosec // a descriptor fits an int

			return !errors.Is(fault, unix.EAGAIN)
		}); err != nil {
			return err
		}

		switch {
		case fault != nil:
			return fault
		case got == 0:
			return io.ErrUnexpectedEOF
		}

		size -= int64(got)
	}

	return nil
}
