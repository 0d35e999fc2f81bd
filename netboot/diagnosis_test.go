package netboot_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/problem"
	"vetting/netboot"
)

// TestTheDiagnosisTableByRecordedBoots replays boots of real firmware that stood still, each
// on a cable with a fault of its own, and compares what the appliance says of them: packets,
// boot services, engine, trace, boot doctor, as at work. The recordings are made by
//
//	make build && sudo build/vetting-lab record-boots [ROW…]
//
// whose rows say what was wrong (cmd/vetting-lab/boots).
func TestTheDiagnosisTableByRecordedBoots(t *testing.T) {
	t.Parallel()

	files := sizesOf(t)

	for name, c := range map[string]struct {
		quiet time.Duration // after the last frame
		code  string        // empty: nothing is wrong, at no moment
		title string
		words string // in the evidence
	}{
		"bios-boots":      {quiet: time.Hour},
		"uefi-boots":      {quiet: time.Hour},
		"http-boots":      {quiet: time.Hour},
		"offers-unheard":  {time.Second, problem.DoctorOffersUnheard, "The machine asks for an address again and again and takes none of our offers", "it asked 4 times"},
		"other-server":    {time.Second, problem.DoctorOtherServer, "The machine took the answer of another DHCP server", "10.77.0.9"},
		"nothing-fetched": {16 * time.Second, problem.DoctorNothingFetched, "The machine took its address and then fetched nothing", "it took its address at"},
		"probe-only":      {16 * time.Second, problem.DoctorProbeOnly, "The firmware asked how large the boot program is, and did not fetch it", "it asked 1 times"},
		"transfer-fails":  {16 * time.Second, problem.DoctorTransferFails, "The boot program does not get through", "fell silent"},
		"loader-silent":   {61 * time.Second, problem.DoctorLoaderSilent, "The boot program was sent, and nothing was heard of it", "snponly.efi was sent, started and asked for autoexec.ipxe"},
		"loader-refused":  {time.Second, problem.DoctorLoaderRefused, "The firmware fetched the boot program and went on to the next entry of its boot order", "snponly.efi"},
		"loader-unheard":  {time.Second, problem.DoctorLoaderUnheard, "The boot program runs and gets no address", "it asked 4 times"},
		"no-script":       {31 * time.Second, problem.DoctorNoScript, "The boot program has an address and does not ask for its script", "it took its address at"},
		"image-stalls":    {46 * time.Second, problem.DoctorImageStalled, "The live image is not fetched to its end", "initrd came to"},
		"image-fails":     {time.Second, problem.DoctorImageFailed, "The boot program could not load the live image", "five attempts"},
		"agent-silent":    {181 * time.Second, problem.DoctorAgentSilent, "The live image was sent, and its agent was not heard", "the image's last part was sent at"},
		"order-exhausted": {61 * time.Second, problem.DoctorOrderExhausted, "The firmware tried its ways to boot and gave up", "its last question came at"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			all := readCapture(t, filepath.Join("testdata", "diagnosis", name+".pcap"))

			inReplay(t, all, files, c.quiet, func(trace core.BootTrace, now time.Time, last bool) {
				d, ok := bootdoctor.Diagnose(trace.Steps, now)

				switch {
				case ok && c.code == "":
					t.Errorf("nothing is wrong, but after %d steps: %+v", len(trace.Steps), d)
				case !last:
				case !ok || d.Code != c.code || d.Title != c.title || !strings.Contains(d.Evidence, c.words) || d.Next == "":
					if c.code != "" {
						t.Errorf("diagnosed %+v", d)

						for _, s := range trace.Steps {
							t.Logf("%s %s %s %s %d", s.Time.Format("15:04:05.000"), s.Client.Kind, s.Kind, s.Detail, s.Share)
						}
					} else if !saysHello(trace) {
						t.Error("it did not come to the agent's first word")
					}
				}
			})
		})
	}
}

// Of these nobody can record a boot on a cable: a client of another kind says one packet, or
// what is wrong is at the appliance. The packets were recorded from real clients
// (testdata/record.sh) and take the same way.
func TestTheDiagnosisTableByRecordedPackets(t *testing.T) {
	t.Parallel()

	files := map[string][]byte{}
	for name := range sizesOf(t) {
		files[name] = []byte(name)
	}

	only := netip.MustParseAddr("10.77.0.50")
	full := func(c *netboot.Config) {
		c.Pool = netboot.Range{First: only, Last: only}
		c.Leases = oneLease{core.Lease{MAC: "52:54:00:00:00:77", Addr: only}}
	}

	for name, c := range map[string]struct {
		packet string // of dhcp/testdata/packets
		tune   func(*netboot.Config)
		code   string
		title  string
	}{
		"its own system":    {"busybox-udhcpc-discover-1", func(*netboot.Config) {}, problem.DoctorOwnSystem, "The machine started its own system and did not boot from the network"},
		"another processor": {"busybox-udhcpc-arm64-discover-1", func(*netboot.Config) {}, problem.DoctorOtherProcessor, "The live image does not run on this machine's processor"},
		"no address":        {"ovmf-pxe-discover-1", full, problem.DoctorNoAddress, "No address was free for the machine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			packet, err := os.ReadFile(filepath.Join("dhcp", "testdata", "packets", c.packet+".bin"))
			if err != nil {
				t.Fatal(err)
			}

			inReplay(t, []capture{{0, framed(packet)}}, files, time.Second, func(trace core.BootTrace, now time.Time, last bool) {
				if d, ok := bootdoctor.Diagnose(trace.Steps, now); last && (!ok || d.Code != c.code || d.Title != c.title) {
					t.Errorf("diagnosed %+v of %+v", d, trace.Steps)
				}
			}, c.tune)
		})
	}
}

// framed puts a DHCP client's message into a frame (RFC 768, 791; without checksums).
func framed(message []byte) []byte {
	be := binary.BigEndian
	frame := append(bytes.Repeat([]byte{255}, 6), message[28:34]...)
	frame = append(frame, 8, 0, 0x45, 0)
	frame = be.AppendUint16(frame, uint16(28+len(message)))
	frame = append(frame, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255)
	frame = be.AppendUint16(be.AppendUint16(be.AppendUint16(frame, 68), 67), uint16(8+len(message)))

	return append(append(frame, 0, 0), message...)
}

// TestEachDiagnosisHasARecording, but for what no packet shows.
func TestEachDiagnosisHasARecording(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile("diagnosis_test.go")
	if err != nil {
		t.Fatal(err)
	}

	without := map[string]string{
		problem.DoctorNothingHeard: "there is no packet", problem.DoctorSeedRefused: "takes two machines, one of which asks in the other's name",
	}

	names, err := os.ReadFile(filepath.Join("..", "core", "problem", "doctor.go"))
	if err != nil {
		t.Fatal(err)
	}

	for _, found := range regexp.MustCompile(`(Doctor[A-Za-z]+) += "(boot/[a-z-]+)"`).FindAllStringSubmatch(string(names), -1) {
		if without[found[2]] == "" && !bytes.Contains(text, []byte("problem."+found[1])) {
			t.Errorf("%s has no recording", found[2])
		}
	}
}

func saysHello(trace core.BootTrace) bool {
	for _, s := range trace.Steps {
		if s.Kind == "hello" {
			return true
		}
	}

	return false
}
