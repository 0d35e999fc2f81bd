package netboot_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot"
	"vetting/netboot/httpboot"
	"vetting/netboot/tftp"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// ownFiles are two files, of which one is longer than a block and a write.
func ownFiles() map[string][]byte {
	return map[string][]byte{"snponly.efi": bytes.Repeat([]byte("snponly "), 5000), "vmlinuz": bytes.Repeat([]byte("kernel "), 300_000)}
}

// overTFTP serves files on the loopback device.
func overTFTP(t *testing.T, w *world, files map[string][]byte) netip.AddrPort {
	t.Helper()

	return overTFTPFrom(t, loopback, w, files)
}

// overTFTPFrom serves them from another address than is asked.
func overTFTPFrom(t *testing.T, from netip.Addr, w *world, files map[string][]byte) netip.AddrPort {
	t.Helper()

	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}

	server := tftp.New(tftp.Config{
		Self: from, Witness: w, Log: slog.New(slog.DiscardHandler),
		Lookup: func(_ netip.Addr, name string) (*tftp.File, core.BootClient, bool) {
			return tftp.Bytes(files[name]), core.BootClient{}, true
		},
	})

	running(t, func(ctx context.Context) error { return server.Serve(ctx, conn) })

	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// overHTTP does the same with the boot services' own server, whose address is ours.
func overHTTP(t *testing.T, w *world, files map[string][]byte) netip.AddrPort {
	t.Helper()

	ln, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}

	server := httpboot.New(httpboot.Config{
		Self: loopback, Files: files, Booter: w, Witness: w, Log: slog.New(slog.DiscardHandler),
		Holder: func(netip.Addr) (core.BootClient, bool) { return core.BootClient{}, false },
	})

	running(t, func(ctx context.Context) error { return server.Serve(ctx, ln) })

	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// running runs something until the end of the test.
func running(t *testing.T, run func(ctx context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)

	go func() { ended <- run(ctx) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestOwnFilesArriveAndCountForNoBoot(t *testing.T) {
	w, files := &world{}, ownFiles()
	f := netboot.Fetcher{TFTP: overTFTP(t, w, files), HTTP: overHTTP(t, w, files), Files: files}

	for name, got := range both(t, &f) {
		if got.Err != nil || got.Files != 2 || got.Bytes != 40_000+2_100_000 || got.Took <= 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}

	if len(w.steps) != 0 {
		t.Errorf("steps of a boot were taken down: %+v", w.steps)
	}
}

// both fetches in both ways.
func both(t *testing.T, f *netboot.Fetcher) map[string]netboot.Fetched {
	t.Helper()

	if f.Patience == 0 {
		f.Patience = 3 * time.Second // on a machine under load
	}

	byHTTP, byTFTP := f.Fetch(t.Context())

	return map[string]netboot.Fetched{"HTTP": byHTTP, "TFTP": byTFTP}
}

func TestOwnFilesThatArriveOtherwiseAreTold(t *testing.T) {
	files := ownFiles()

	with := func(name string, change func(b []byte) []byte) map[string][]byte {
		all := ownFiles()
		all[name] = change(all[name])

		return all
	}

	flipped := func(b []byte) []byte {
		b[1_234_567] ^= 0x10

		return b
	}
	cut := func(b []byte) []byte { return b[:30_000] }

	for name, c := range map[string]struct {
		tftp, http           map[string][]byte
		byTFTP, byHTTP       error
		wordsTFTP, wordsHTTP string
	}{
		"one bit is another by TFTP":         {with("vmlinuz", flipped), files, netboot.ErrAltered, nil, "vmlinuz: it arrives altered: it differs from byte 1234567 on, of 2100000", ""},
		"one is cut by TFTP":                 {with("snponly.efi", cut), files, netboot.ErrAltered, nil, "snponly.efi: it arrives altered: its first 30000 bytes of 40000, and no more", ""},
		"one is of another image":            {with("vmlinuz", flipped), with("vmlinuz", flipped), netboot.ErrOtherImage, netboot.ErrOtherImage, "vmlinuz: it is of another", "vmlinuz: it is of another"},
		"one is longer in another image":     {with("snponly.efi", longer), with("snponly.efi", longer), netboot.ErrOtherImage, netboot.ErrOtherImage, "", ""},
		"one is not there in an older image": {map[string][]byte{}, map[string][]byte{}, netboot.ErrOtherImage, netboot.ErrOtherImage, "no such file", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			got := both(t, &netboot.Fetcher{TFTP: overTFTP(t, w, c.tftp), HTTP: overHTTP(t, w, c.http), Files: files})
			tells(t, "TFTP", got["TFTP"], c.byTFTP, c.wordsTFTP)
			tells(t, "HTTP", got["HTTP"], c.byHTTP, c.wordsHTTP)
		})
	}
}

func longer(b []byte) []byte { return append(b, "and more"...) }

func tells(t *testing.T, way string, got netboot.Fetched, want error, words string) {
	t.Helper()

	if !errors.Is(got.Err, want) || got.Err != nil && !strings.Contains(got.Err.Error(), words) {
		t.Errorf("by %s: %v, want %v with %q", way, got.Err, want, words)
	}
}

// What is sent is not what the server took for the file.
func TestOwnFilesThatAreDamagedOnTheirWayByHTTPAreTold(t *testing.T) {
	files, w := ownFiles(), &world{}

	for name, c := range map[string]struct {
		send func(to http.ResponseWriter, file []byte)
		want error
		says string
	}{
		"another byte": {func(to http.ResponseWriter, file []byte) {
			file = bytes.Clone(file)
			file[7] = 'x'
			_, _ = to.Write(file)
		}, netboot.ErrAltered, "it differs from byte 7 on"},
		"fewer bytes than announced": {func(to http.ResponseWriter, file []byte) {
			to.Header().Set("Content-Length", "40000")
			_, _ = to.Write(file[:999])
		}, netboot.ErrAltered, "after 999 of 40000 bytes"},
		"fewer bytes": {func(to http.ResponseWriter, file []byte) { _, _ = to.Write(file[:999]) }, netboot.ErrAltered, "its first 999 bytes of 40000"},
		"a refusal": {func(to http.ResponseWriter, _ []byte) {
			to.WriteHeader(http.StatusForbidden)
		}, netboot.ErrUnanswered, "403 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) {
				to.Header().Set("ETag", `"00000000000000000000000000000000"`)
				c.send(to, files["snponly.efi"])
			}))
			defer server.Close()

			f := netboot.Fetcher{TFTP: overTFTP(t, w, files), HTTP: netip.MustParseAddrPort(server.Listener.Addr().String()), Files: files}
			got := both(t, &f)
			tells(t, "HTTP", got["HTTP"], c.want, c.says)
			tells(t, "TFTP", got["TFTP"], nil, "")
		})
	}
}

func TestPortsThatNobodyAnswersAreTold(t *testing.T) {
	mute, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()}) // open, and silent
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close() //nolint:errcheck // nothing is written there

	closed, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}

	free := closed.Addr().(*net.TCPAddr).AddrPort()
	_ = closed.Close()

	start := time.Now()
	f := netboot.Fetcher{TFTP: mute.LocalAddr().(*net.UDPAddr).AddrPort(), HTTP: free, Files: ownFiles(), Patience: 100 * time.Millisecond}
	byHTTP, byTFTP := f.Fetch(t.Context())

	tells(t, "HTTP", byHTTP, netboot.ErrUnanswered, "nobody answers: the port is closed")
	tells(t, "TFTP", byTFTP, netboot.ErrUnanswered, "nobody answers in time")

	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("that took %s", took)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if byHTTP, byTFTP = f.Fetch(ctx); !errors.Is(byHTTP.Err, context.Canceled) || !errors.Is(byTFTP.Err, context.Canceled) {
		t.Errorf("without time: %v, %v", byHTTP.Err, byTFTP.Err)
	}
}

// The appliance's address is good for what is the same for all, and nothing else.
func TestOurOwnAddressOpensFilesAlone(t *testing.T) {
	at := overHTTP(t, &world{}, ownFiles())

	for path, want := range map[string]int{
		"/boot/vmlinuz": http.StatusOK, "/boot/missing": http.StatusNotFound, "/boot/no-boot": http.StatusNotFound, "/seed/self.cpio": http.StatusForbidden,
		"/seed/nonce.cpio": http.StatusForbidden, "/boot/vetting.efi": http.StatusForbidden, "/grub/grub.cfg": http.StatusForbidden,
	} {
		answer, err := http.Get("http://" + at.String() + path) //nolint:noctx // the server is ours
		if err != nil {
			t.Fatal(err)
		}

		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()

		if answer.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, answer.Status, want)
		}
	}
}

// A transfer that leaves from elsewhere is none for those who asked, firmware and doctor.
func TestQuirkQ36ATransferLeavesFromTheAddressThatWasAsked(t *testing.T) {
	w, files := &world{}, ownFiles()
	f := netboot.Fetcher{HTTP: overHTTP(t, w, files), Files: files, Patience: 3 * time.Second}

	f.TFTP = overTFTP(t, w, files)
	tells(t, "TFTP", both(t, &f)["TFTP"], nil, "")

	f.Patience = 100 * time.Millisecond
	f.TFTP = overTFTPFrom(t, netip.MustParseAddr("127.0.0.9"), w, files)
	tells(t, "TFTP from another address", both(t, &f)["TFTP"], netboot.ErrUnanswered, "nobody answers in time")
}
