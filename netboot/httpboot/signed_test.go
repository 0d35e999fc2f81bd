package httpboot_test

import (
	"bytes"
	"debug/pe"
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"vetting/core"
)

func TestGRUBIsToldWhatToLoad(t *testing.T) {
	w := serve(t)

	head := w.ask(vetted, "HEAD", "/grub/grub.cfg")
	r := w.ask(vetted, "GET", "/grub/grub.cfg", "User-Agent: GRUB 2.12-9+deb13u4")

	for _, want := range []string{"BOOTIF=01-52-54-00-00-00-01 ras=cec_disable memtest=4", "/vmlinuz ", "/base.cpio.zst ", "/modules.cpio ", "(http,10.77.0.1)/seed/self.cpio; then", "exit 1"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, r.body)
		}
	}

	if r.StatusCode != 200 || head.StatusCode != 200 || head.ContentLength != int64(len(r.body)) || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("GET is answered %d, HEAD %d of %d bytes, %v", r.StatusCode, head.StatusCode, head.ContentLength, r.Header)
	}

	if seen := w.seen(); w.armed != 1 || !strings.Contains(seen, "script(01RUN)") {
		t.Errorf("armed %d times, seen %s", w.armed, seen)
	}

	// Each of its connections ends with it.
	if r := w.ask(idle, "GET", "/grub/grub.cfg"); strings.Contains(r.body, "linux") || !strings.HasSuffix(r.body, "exit 1\n") {
		t.Errorf("an idle machine is told\n%s", r.body)
	}

	for machine, status := range map[string]int{vetted: 404, stranger: 403} {
		if r := w.ask(machine, "GET", "/grub/x86_64-efi/command.lst"); r.StatusCode != status {
			t.Errorf("the list of commands for %s: %d", machine, r.StatusCode)
		}
	}

	w.fail(errors.New("no"))

	if r := w.ask(vetted, "GET", "/grub/grub.cfg"); strings.Contains(r.body, "linux") {
		t.Errorf("without a token it is told\n%s", r.body)
	}
}

func TestTheImageAsOneProgram(t *testing.T) {
	w := serve(t)

	head := w.ask(vetted, "HEAD", "/boot/vetting.efi")
	if head.StatusCode != 200 || head.Header.Get("Content-Type") != "application/efi" || w.armed != 0 {
		t.Errorf("HEAD is answered %d %v, armed %d times", head.StatusCode, head.Header, w.armed)
	}

	r := w.ask(vetted, "GET", "/boot/vetting.efi")
	if r.StatusCode != 200 || int64(len(r.body)) != head.ContentLength || r.Header.Get("ETag") != head.Header.Get("ETag") || len(r.Header.Get("ETag")) != 34 || w.armed != 1 {
		t.Fatalf("GET is answered %d with %d bytes, HEAD said %d; armed %d times", r.StatusCode, len(r.body), head.ContentLength, w.armed)
	}

	file, err := pe.NewFile(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]string{".linux": "kernel", ".initrd": "basemodu", ".cmdline": "BOOTIF=01-52-54-00-00-00-01 ras=cec_disable memtest=4"} {
		s := file.Section(name)
		if s == nil {
			t.Fatalf("no section %s", name)
		}

		got, err := io.ReadAll(io.NewSectionReader(s, 0, int64(s.VirtualSize)))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}

	if seen := w.settle("vetting.efi"); !strings.Contains(seen, "loader(vetting.efi begun)") {
		t.Errorf("seen %s", seen)
	}

	for machine, status := range map[string]int{idle: 404, stranger: 403} {
		if r := w.ask(machine, "GET", "/boot/vetting.efi"); r.StatusCode != status {
			t.Errorf("%s is answered %d", machine, r.StatusCode)
		}
	}

	w.overlays = []core.Overlay{{Name: "tools", SHA256: strings.Repeat("a", 64)}}

	if r := w.ask(vetted, "GET", "/boot/vetting.efi"); r.StatusCode != 404 {
		t.Errorf("a run with overlays is answered %d", r.StatusCode)
	}
}

// gone reports whether the other end has broken a connection off, not ended it.
func gone(conn io.Reader) error {
	_, err := io.ReadAll(conn)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}

	return errors.Join(errors.New("the connection was not broken off"), err)
}

// GRUB 2.12 begins every boot at its port 21550. Whatever the kernel still keeps of the
// boot before makes the new one fail.
func TestAMachineThatBeginsAnewFindsNothingOfTheBootBefore(t *testing.T) {
	w := serve(t)

	mine, other := w.dial(vetted), w.dial(idle)
	w.say(mine, "GET", "GET /boot/snponly.efi HTTP/1.1\r\nHost: x\r\n\r\n")
	w.say(other, "GET", "GET /ipxe/52:54:00:00:00:02 HTTP/1.1\r\nHost: x\r\n\r\n")

	w.server.Forget(netip.MustParseAddr(vetted))

	_ = mine.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := gone(mine); err != nil {
		t.Error(err)
	}

	if r := w.say(other, "GET", "GET /ipxe/52:54:00:00:00:02 HTTP/1.1\r\nHost: x\r\n\r\n"); r.StatusCode != 200 {
		t.Errorf("another machine is answered %d", r.StatusCode)
	}
}

// What GRUB leaves at its end leaves nothing at ours.
func TestGRUBsConnectionsAreBrokenOff(t *testing.T) {
	w := serve(t)

	for agent, want := range map[string]bool{"GRUB 2.12-9+deb13u4": true, "iPXE/1.21.1": false} {
		conn := w.dial(vetted)

		if r := w.say(conn, "GET", "GET /boot/snponly.efi HTTP/1.1\r\nHost: x\r\nUser-Agent: "+agent+"\r\n\r\n"); !bytes.Equal([]byte(r.body), loader) {
			t.Fatalf("%s is sent %d bytes", agent, len(r.body))
		}

		tcp, ok := conn.(interface{ CloseWrite() error })
		if !ok || tcp.CloseWrite() != nil {
			t.Fatal("no TCP connection")
		}

		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if err := gone(conn); (err == nil) != want {
			t.Errorf("%s: broken off: %v", agent, err)
		}
	}
}
