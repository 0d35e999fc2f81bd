package httpboot_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/httpboot"
)

// until waits for a condition that comes about by itself.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()

	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// get asks for a path on a connection and leaves the body to be read.
func get(t *testing.T, conn net.Conn, path string, header ...string) *http.Response {
	t.Helper()

	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, strings.Join(header, "")); err != nil {
		t.Fatal(err)
	}

	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}

	return r
}

// A machine that takes what arrives in small bites gets all
// of it, then a part, then the word that nothing has changed, on one connection.
func TestASlowReaderGetsAllOfABigFile(t *testing.T) {
	w := serve(t)
	conn := w.dial(vetted)

	if tcp, ok := conn.(*net.TCPConn); !ok || tcp.SetReadBuffer(256<<10) != nil {
		t.Fatal("the connection cannot be made narrow")
	}

	r := get(t, conn, "/boot/big.img")
	defer r.Body.Close()

	var got bytes.Buffer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r.Body}, make([]byte, 1461)); err != nil {
		t.Fatal(err)
	}

	if !bytes.Equal(got.Bytes(), big) {
		t.Errorf("%d bytes arrived, and not those that were sent", got.Len())
	}

	part := w.say(conn, "GET", "GET /boot/big.img HTTP/1.1\r\nHost: x\r\nRange: bytes=5000001-17000000\r\n\r\n")
	if part.StatusCode != 206 || part.body != string(big[5_000_001:17_000_001]) {
		t.Errorf("the part is answered %d, with %d bytes", part.StatusCode, len(part.body))
	}

	same := w.say(conn, "GET", "GET /boot/big.img HTTP/1.1\r\nHost: x\r\nIf-None-Match: "+r.Header.Get("ETag")+"\r\n\r\n")
	if same.StatusCode != 304 || same.body != "" {
		t.Errorf("what is known already is answered %d, with %d bytes", same.StatusCode, len(same.body))
	}

	head := w.say(conn, "HEAD", "HEAD /boot/big.img HTTP/1.1\r\nHost: x\r\n\r\n")
	if head.StatusCode != 200 || head.ContentLength != int64(len(big)) || head.body != "" {
		t.Errorf("HEAD is answered %d, %d bytes announced, %d sent", head.StatusCode, head.ContentLength, len(head.body))
	}
}

// What the kernel holds of a connection does not grow with what is sent: see sendBuffer.
func TestTheKernelHoldsLittleOfAConnection(t *testing.T) {
	w := serve(t)
	conn := w.dial(vetted)

	if r := w.say(conn, "GET", "GET /boot/big.img HTTP/1.1\r\nHost: x\r\n\r\n"); r.body != string(big) {
		t.Fatalf("%d bytes arrived, and not those that were sent", len(r.body))
	}

	sizes, err := w.server.Buffers()
	if err != nil || len(sizes) != 1 || sizes[0] > 2*httpboot.SendBuffer {
		t.Errorf("the kernel holds up to %d bytes, %v", sizes, err)
	}
}

// What is read from a file while it is sent arrives whole as well.
func TestABigOverlayArrivesWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(name, big, 0o600); err != nil {
		t.Fatal(err)
	}

	w := serve(t, shelf(name))
	w.overlays = []core.Overlay{{Name: "acme", SHA256: overlaySum}}

	if r := w.ask(vetted, "GET", "/overlay/"+overlaySum+"/overlay-acme.cpio"); r.StatusCode != 200 || r.body != string(big) {
		t.Errorf("the overlay is answered %d, with %d bytes", r.StatusCode, len(r.body))
	}
}

// A machine that is switched off in the middle of a file leaves nothing behind.
func TestAMachineThatLeavesInTheMiddleIsForgotten(t *testing.T) {
	w := serve(t)

	for range 8 {
		conn := w.dial(vetted)

		r := get(t, conn, "/boot/big.img")
		if _, err := io.CopyN(io.Discard, r.Body, 1<<20); err != nil {
			t.Fatal(err)
		}

		_ = conn.Close()
	}

	until(t, "its connections are gone", func() bool {
		sizes, err := w.server.Buffers()

		return err == nil && len(sizes) == 0
	})

	if r := w.ask(vetted, "GET", "/boot/big.img"); r.body != string(big) {
		t.Errorf("it then gets %d bytes", len(r.body))
	}
}

// A thousand connections at once are served, each with all of its file.
func TestAThousandAtOnce(t *testing.T) {
	const many, each = 1000, 50

	w := serve(t)

	var group errgroup.Group

	for i := range many {
		group.Go(func() error {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/each))}}

			conn, err := dialer.DialContext(t.Context(), "tcp4", w.addr)
			if err != nil {
				return err
			}
			defer conn.Close()

			if _, err := io.WriteString(conn, "GET /boot/snponly.efi HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return err
			}

			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return err
			}
			defer r.Body.Close()

			body, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(body, loader) {
				return fmt.Errorf("%s, %d bytes: %w", r.Status, len(body), err)
			}

			return nil
		})
	}

	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// The appliance ends though a machine takes nothing of what it asked for.
func TestTheServerEndsDuringASend(t *testing.T) {
	t.Parallel()

	w := serve(t)
	conn := w.dial(vetted)

	r := get(t, conn, "/boot/big.img")
	defer r.Body.Close()

	w.end()

	until(t, "the connection is ended", func() bool {
		sizes, err := w.server.Buffers()

		return err == nil && len(sizes) == 0
	})

	if n, err := io.Copy(io.Discard, r.Body); err == nil {
		t.Errorf("%d bytes arrive as if they were all", n)
	}
}
