package netboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"vetting/netboot/httpboot"
	"vetting/netboot/tftp"
)

// What is wrong with files that were fetched from boot services on this machine.
var (
	// ErrUnanswered: nobody answers at the port.
	ErrUnanswered = errors.New("nobody answers")
	// ErrAltered: a file does not arrive as it was sent, or not whole.
	ErrAltered = errors.New("it arrives altered")
	// ErrOtherImage: it arrives whole, and is not that of the boot image at hand.
	ErrOtherImage = errors.New("it is of another boot image")
)

// Fetcher fetches the files of the boot image as machines do, from boot services that run on
// this machine. They give them to their own address without a lease, and take no step of a
// boot down for it. What is tried is all but the way from the card to the machines: the
// kernel keeps what a machine sends to itself off the cable.
type Fetcher struct {
	TFTP, HTTP netip.AddrPort
	Files      map[string][]byte // by name, as they should arrive

	// Patience is how long an answer may take, each time; 0: a second.
	Patience time.Duration
}

// OwnFiles is a Fetcher of files from the boot services that have the address self.
func OwnFiles(self netip.Addr, files map[string][]byte) Fetcher {
	return Fetcher{TFTP: netip.AddrPortFrom(self, tftp.Port), HTTP: netip.AddrPortFrom(self, httpboot.Port), Files: files}
}

// Fetched is what came of fetching all files in one way.
type Fetched struct {
	Files int           // that arrived as they should
	Bytes int64         // of these
	Took  time.Duration // for all
	Err   error         // what is wrong with the first that did not; one of those above, or of ctx
}

// Fetch fetches every file by HTTP and then by TFTP, which takes a second or two. Where nobody
// answers it gives up at once.
func (f *Fetcher) Fetch(ctx context.Context) (byHTTP, byTFTP Fetched) {
	if f.Patience == 0 {
		f.Patience = time.Second
	}

	tags := map[string]string{} // what HTTP calls the files that it has

	byHTTP = f.each(ctx, func(name string, c *comparison) error {
		tag, err := f.http(ctx, name, c)
		if err != nil {
			return err
		}

		tags[name] = tag

		return c.verdict(tag)
	})
	byTFTP = f.each(ctx, func(name string, c *comparison) error {
		if err := f.tftp(ctx, name, c); err != nil {
			return err
		}

		return c.verdict(tags[name])
	})

	return byHTTP, byTFTP
}

// each fetches files until one does not arrive as it should.
func (f *Fetcher) each(ctx context.Context, fetch func(name string, c *comparison) error) (all Fetched) {
	start := time.Now()
	defer func() { all.Took = time.Since(start) }()

	for _, name := range slices.Sorted(maps.Keys(f.Files)) {
		c := &comparison{want: f.Files[name], sum: sha256.New(), differs: -1}

		err := ctx.Err()
		if err == nil {
			err = fetch(name, c)
		}

		if err != nil {
			all.Err = fmt.Errorf("%s: %w", name, err)

			return all
		}

		all.Files++
		all.Bytes += int64(c.n)
	}

	return all
}

// http fetches a file by HTTP, and returns what it is called there: half of its SHA-256.
func (f *Fetcher) http(ctx context.Context, name string, to *comparison) (tag string, err error) {
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: f.Patience}).DialContext, ResponseHeaderTimeout: f.Patience, DisableKeepAlives: true, DisableCompression: true,
	}
	client := &http.Client{Transport: transport, Timeout: 60 * f.Patience}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.HTTP.String()+"/boot/"+name, nil)
	if err != nil {
		return "", fmt.Errorf("asking by HTTP: %w", err)
	}

	answer, err := client.Do(request)
	if err != nil {
		return "", unanswered(err)
	}

	defer func() { _ = answer.Body.Close() }()

	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", fmt.Errorf("%w: there is no such file", ErrOtherImage)
	default:
		return "", fmt.Errorf("%w with the file: an answer of %s, from an appliance that is older than this program, or from another server", ErrUnanswered, answer.Status)
	}

	if _, err := io.Copy(to, answer.Body); err != nil {
		return "", fmt.Errorf("%w: after %d of %d bytes: %w", ErrAltered, to.n, len(to.want), err)
	}

	return strings.Trim(answer.Header.Get("ETag"), `"`), nil
}

// tftp fetches a file by TFTP.
func (f *Fetcher) tftp(ctx context.Context, name string, to *comparison) error {
	err := tftp.Fetch(ctx, f.TFTP, name, to, f.Patience)

	switch {
	case errors.Is(err, tftp.ErrMissing):
		return fmt.Errorf("%w: there is no such file", ErrOtherImage)
	case errors.Is(err, tftp.ErrSilent) && to.n == 0:
		return fmt.Errorf("%w in time", ErrUnanswered)
	case err != nil && to.n == 0:
		return unanswered(err)
	case err != nil:
		return fmt.Errorf("%w: after %d of %d bytes: %w", ErrAltered, to.n, len(to.want), err)
	default:
		return nil
	}
}

// unanswered says in few words that no answer came.
func unanswered(err error) error {
	var late net.Error

	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the port is closed", ErrUnanswered)
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("%w in time", ErrUnanswered)
	default:
		return fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
}

// comparison takes a file as it arrives and holds it against what it should be.
type comparison struct {
	want    []byte
	sum     hash.Hash
	n       int
	differs int // where it does first; -1: nowhere so far
}

// Write takes the next part.
func (c *comparison) Write(b []byte) (int, error) {
	rest := c.want[min(c.n, len(c.want)):]
	if c.differs < 0 && !bytes.HasPrefix(rest, b) {
		c.differs = c.n + common(rest, b)
	}

	c.n += len(b)

	return c.sum.Write(b)
}

// common is how many bytes at their beginnings two have in common.
func common(a, b []byte) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}

	return n
}

// verdict says what is wrong with what arrived. tag is what the server calls it, half of the
// SHA-256 in hex; empty: it does not say.
func (c *comparison) verdict(tag string) error {
	switch {
	case c.differs < 0 && c.n == len(c.want):
		return nil
	case tag != "" && strings.HasPrefix(hex.EncodeToString(c.sum.Sum(nil)), tag):
		return ErrOtherImage
	case c.differs < 0:
		return fmt.Errorf("%w: its first %d bytes of %d, and no more", ErrAltered, c.n, len(c.want))
	default:
		return fmt.Errorf("%w: it differs from byte %d on, of %d", ErrAltered, c.differs, len(c.want))
	}
}
