package initramfs_test

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"vetting/initramfs"
	"vetting/initramfs/build/depmod"
	"vetting/initramfs/cpio"
	"vetting/initramfs/manifest"
)

// built returns the image embedded in this test, which is the one that was built
// last, or skips.
func built(t *testing.T) *initramfs.Image {
	t.Helper()

	image, err := initramfs.Open()
	if errors.Is(err, initramfs.ErrNotBuilt) {
		t.Skip("the boot image is not built; `make image` builds it, `make test` does so by itself")
	}

	if err != nil {
		t.Fatal(err)
	}

	return image
}

// segments unpacks base and modules as the kernel does, one after the other.
func segments(t *testing.T, image *initramfs.Image) (base, modules []cpio.Entry) {
	t.Helper()

	base, err := cpio.Unpack(unzstd(t, image.Base))
	if err != nil {
		t.Fatal(err)
	}

	if modules, err = cpio.Unpack(image.Modules); err != nil {
		t.Fatal(err)
	}

	return base, modules
}

func unzstd(t *testing.T, packed []byte) []byte {
	t.Helper()

	decoder, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()

	var plain bytes.Buffer

	// The padding after the compressed data is too short for another frame.
	if _, err := decoder.WriteTo(&plain); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}

	return plain.Bytes()
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()

	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}

	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}

	return plain
}

func TestBuiltImageKeepsItsBudget(t *testing.T) {
	image := built(t)

	sum := len(image.Kernel) + len(image.Base) + len(image.Modules)
	t.Logf("kernel %d + base %d + modules %d = %d of %d bytes", len(image.Kernel), len(image.Base), len(image.Modules), sum, manifest.Budget)

	if sum > manifest.Budget {
		t.Errorf("the image has %d bytes, %d more than allowed", sum, sum-manifest.Budget)
	}
}

func TestBuiltImageIsWhole(t *testing.T) {
	image := built(t)
	if err := image.Verify(); err != nil {
		t.Error(err)
	}

	for name, segment := range map[string][]byte{"base": image.Base, "modules": image.Modules, "agent": image.Agent} {
		if len(segment)%4 != 0 {
			t.Errorf("%s has %d bytes; the kernel needs a multiple of 4", name, len(segment))
		}
	}

	want := []string{initramfs.GRUB, "ipxe-arm64.efi", "ipxe.efi", "ipxe.pxe", initramfs.Shim, "snponly.efi", "undionly.kpxe"}
	slices.Sort(want)

	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(image.Loaders))); diff != "" {
		t.Errorf("boot programs: %s", diff)
	}

	if diff := cmp.Diff([]string{initramfs.Sector, initramfs.ISOLINUX, initramfs.Module, initramfs.Stub, initramfs.SignedMenu}, slices.Sorted(maps.Keys(image.Pieces))); diff != "" {
		t.Errorf("pieces: %s", diff)
	}

	if image.KernelVersion == "" || !bytes.Equal(image.Kernel[0x202:0x206], []byte("HdrS")) {
		t.Error("the kernel is not a bzImage (no HdrS at 0x202, Documentation/arch/x86/boot.rst)")
	}
}

// Firmware with Secure Boot starts what it finds signed: each link of the chain must
// carry its signature (the certificate table of PE, its fifth data directory) by the
// name that the link before looks for. Whether they hold is the business of a virtual
// host with Microsoft's keys.
func TestTheSignedChainIsSigned(t *testing.T) {
	image := built(t)

	for name, c := range map[string]struct {
		program []byte
		signers []string // as text in the certificates; none: not signed
	}{
		initramfs.Shim:       {image.Loaders[initramfs.Shim], []string{"Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"}},
		initramfs.GRUB:       {image.Loaders[initramfs.GRUB], []string{"Debian Secure Boot CA"}},
		initramfs.SignedMenu: {image.Pieces[initramfs.SignedMenu], []string{"Debian Secure Boot CA"}},
		"kernel":             {image.Kernel, []string{"Debian Secure Boot CA"}},
		initramfs.Stub:       {image.Pieces[initramfs.Stub], nil},
		"snponly.efi":        {image.Loaders["snponly.efi"], nil},
	} {
		file, err := pe.NewFile(bytes.NewReader(c.program))
		if err != nil {
			t.Errorf("%s: %v", name, err)

			continue
		}

		header, ok := file.OptionalHeader.(*pe.OptionalHeader64)
		if !ok {
			t.Errorf("%s is not a program for x64", name)

			continue
		}

		at := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY]
		if (at.Size > 0) != (len(c.signers) > 0) {
			t.Errorf("%s has %d bytes of certificates", name, at.Size)
		}

		for _, signer := range c.signers {
			if table := c.program[at.VirtualAddress:]; !bytes.Contains(table, []byte(signer)) {
				t.Errorf("%s is not signed by %s", name, signer)
			}
		}
	}
}

// No boot program checks the kernel but those of the signed chain. It checks itself: its
// payload is a zstd frame with a checksum (RFC 8878 §3.1.1), and the kernel's own
// decompressor halts the machine when that is wrong. Where the payload is: Documentation/
// arch/x86/boot.rst, payload_offset and payload_length.
func TestAnAlteredKernelDoesNotStart(t *testing.T) {
	kernel := bytes.Clone(built(t).Kernel)
	start := (int(kernel[0x1f1])+1)*512 + int(binary.LittleEndian.Uint32(kernel[0x248:]))
	payload := kernel[start : start+int(binary.LittleEndian.Uint32(kernel[0x24c:]))-4] // behind it is the size of what it unpacks to

	unpack := func() error {
		reader, err := zstd.NewReader(bytes.NewReader(payload), zstd.WithDecoderMaxWindow(1<<31), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer reader.Close()

		_, err = io.Copy(io.Discard, reader)

		return err
	}

	if payload[4]>>2&1 != 1 {
		t.Fatal("the kernel's payload has no checksum")
	}

	if err := unpack(); err != nil {
		t.Fatalf("the kernel as it is: %v", err)
	}

	payload[len(payload)/2] ^= 1

	if unpack() == nil {
		t.Error("a flipped bit is not noticed")
	}
}

// Installed hosts get the very program that vets them, and it must run on any
// Linux: it asks for no loader and no libraries.
func TestInstalledHostsGetTheAgentOfTheImage(t *testing.T) {
	image := built(t)
	from := image.Agent

	if from == nil {
		from = unzstd(t, image.Base)
	}

	entries, err := cpio.Unpack(from)
	if err != nil {
		t.Fatal(err)
	}

	i := slices.IndexFunc(entries, func(e cpio.Entry) bool { return e.Name == "init" })
	host := gunzip(t, image.HostAgent)

	if i < 0 || !bytes.Equal(entries[i].Data, host) {
		t.Error("the program for installed hosts is not /init of the image")
	}

	program, err := elf.NewFile(bytes.NewReader(host))
	if err != nil {
		t.Fatal(err)
	}

	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a %s: it is not static", p.Type)
		}
	}
}

// The agent compares the file system with the manifest; both come from here.
func TestManifestListsExactlyWhatIsInside(t *testing.T) {
	base, modules := segments(t, built(t))

	var encoded []byte

	var want []manifest.File

	for segment, entries := range map[string][]cpio.Entry{manifest.SegmentBase: base, manifest.SegmentModules: modules} {
		for _, e := range entries {
			if e.Name == manifest.Path {
				encoded = e.Data

				continue
			}

			if e.IsRegular() {
				want = append(want, manifest.File{
					Path: "/" + e.Name, Size: int64(len(e.Data)), SHA256: manifest.Sum(e.Data), Segment: segment,
				})
			}
		}
	}

	if base[len(base)-1].Name != manifest.Path {
		t.Errorf("the last file of base is %s, not the manifest: a system that is cut off would have one", base[len(base)-1].Name)
	}

	m, err := manifest.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}

	slices.SortFunc(want, func(a, b manifest.File) int { return strings.Compare(a.Path, b.Path) })

	if diff := cmp.Diff(want, m.Files); diff != "" {
		t.Error(diff)
	}
}

// The kernel does not make folders for files, and drops a file whose folder is missing.
func TestFoldersComeBeforeWhatIsInThem(t *testing.T) {
	base, modules := segments(t, built(t))

	for name, entries := range map[string][]cpio.Entry{"base": base, "modules": modules} {
		seen := map[string]bool{".": true}

		for _, e := range entries {
			if !seen[path.Dir(e.Name)] {
				t.Errorf("%s: %s comes before its folder", name, e.Name)
			}

			seen[e.Name] = true
		}
	}
}

func TestBaseHasWhatAPersonNeeds(t *testing.T) {
	base, _ := segments(t, built(t))

	all := map[string]cpio.Entry{}
	for _, e := range base {
		all[e.Name] = e
	}

	for _, name := range []string{
		"bin/sh", "bbin/bb", "bbin/gosh", "bbin/ls", "bbin/cat", "bbin/dmesg", "bbin/ip", "bbin/pci", "bbin/lsmod", "bbin/modprobe",
		"bbin/dmidecode", "bbin/hdparm", "bbin/mount", "bbin/ping", "bbin/dd", "bbin/poweroff", "dev/console", "etc/passwd",
	} {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}

	init := all["init"]
	if init.Mode != cpio.Regular|0o755 || !bytes.HasPrefix(init.Data, []byte("\x7fELF")) {
		t.Errorf("/init has the mode %o and begins with %q; want an executable program", init.Mode, init.Data[:min(4, len(init.Data))])
	}
}

// mustHave are the drivers a customer's machine may depend on to be seen at all.
// It grows with every machine that was not.
var mustHave = []string{
	// NICs, virtio_net first: it does not live with the others
	"virtio_net", "e1000", "e1000e", "igb", "igc", "ixgbe", "ixgbevf", "i40e", "iavf", "ice", "tg3", "bnx2", "bnx2x", "bnxt_en", "mlx4_en",
	"mlx5_core", "r8169", "atlantic", "cxgb4", "qede", "be2net", "sfc", "ena", "vmxnet3", "hv_netvsc", "amd_xgbe", "ionic", "alx", "atl1c",
	"forcedeth", "sky2", "usbnet", "cdc_ether", "rndis_host", "r8152", "ax88179_178a", "realtek", "8021q", "ib_ipoib",
	// disks
	"nvme", "nvme_core", "ahci", "ata_piix", "sd_mod", "sr_mod", "sg", "ses", "enclosure", "megaraid_sas", "mpt3sas", "mpi3mr", "mptsas", "hpsa", "smartpqi",
	"aacraid", "arcmsr", "pm80xx", "isci", "mvsas", "3w_9xxx", "3w_sas", "virtio_blk", "virtio_scsi", "vmw_pvscsi", "hv_storvsc", "qla2xxx", "lpfc",
	"usb_storage", "uas", "sdhci_pci", "mmc_block", "vmd", "nfit", "nd_pmem", "cxl_pci",
	// buses and input
	"xhci_pci", "ehci_pci", "ohci_pci", "uhci_hcd", "usbhid", "hid_generic", "evdev", "i2c_dev", "i2c_i801", "i2c_piix4", "i2c_smbus",
	// sensors, errors, identity
	"msr", "cpuid", "ipmi_si", "ipmi_devintf", "ipmi_ssif", "ipmi_msghandler", "coretemp", "k10temp", "drivetemp", "jc42", "spd5118", "nct6775", "it87",
	"pmbus", "acpi_power_meter", "intel_rapl_msr", "rapl", "x86_pkg_temp_thermal", "sb_edac", "skx_edac", "i10nm_edac", "ie31200_edac", "amd64_edac", "edac_mce_amd",
	"igen6_edac", "dmi_sysfs", "ee1004", "at24", "iTCO_wdt", "sp5100_tco", "ipmi_watchdog", "i6300esb", "wdat_wdt", "intel_uncore", "mei_me", "tpm_tis", "tpm_crb",
	"acpi_cpufreq", "ioatdma", "hpilo", "pvpanic_pci", "edd", "qemu_fw_cfg", "lpc_ich",
	// file systems
	"vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "efivarfs", "ext4", "xfs", "isofs", "loop",
}

// neverShip are error injectors and subsystems that could write to a disk unasked.
var neverShip = []string{
	"mce_inject", "einj", "aer_inject", "scsi_debug", "null_blk", "i2c_stub", "dm_flakey", "md_mod", "dm_mod", "kvm", "test_bpf", "cfg80211", "snd", "drm",
}

func TestMustHaveModules(t *testing.T) {
	image := built(t)
	_, entries := segments(t, image)

	folder := "lib/modules/" + image.KernelVersion + "/"
	names, files, tables := map[string]bool{}, map[string]bool{}, map[string]string{}

	for _, e := range entries {
		switch name, ok := strings.CutPrefix(e.Name, folder); {
		case !ok || !e.IsRegular():
		case strings.HasSuffix(name, ".ko.xz"):
			names[depmod.Name(name)], files[name] = true, true
		default:
			tables[name] = string(e.Data)
		}
	}

	for line := range strings.Lines(tables["modules.builtin"]) {
		names[depmod.Name(strings.TrimSpace(line))] = true
	}

	for _, name := range mustHave {
		if !names[name] {
			t.Errorf("the image has no %s", name)
		}
	}

	for _, name := range neverShip {
		if names[name] {
			t.Errorf("the image has %s, which must never reach a machine that is judged", name)
		}
	}

	checkTables(t, names, files, tables)
}

// checkTables follows every line of the tables to a module that is there.
func checkTables(t *testing.T, names, files map[string]bool, tables map[string]string) {
	t.Helper()

	listed := map[string]bool{}

	for line := range strings.Lines(tables["modules.dep"]) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		listed[file] = true

		for need := range strings.FieldsSeq(needs) {
			if !files[need] {
				t.Errorf("%s needs %s, which is not in the image", file, need)
			}
		}
	}

	if diff := cmp.Diff(files, listed); diff != "" {
		t.Errorf("modules.dep does not list the files there are: %s", diff)
	}

	aliases := 0

	for line := range strings.Lines(tables["modules.alias"]) {
		if fields := strings.Fields(line); fields[0] == "alias" {
			if aliases++; len(fields) < 3 || !names[fields[len(fields)-1]] {
				t.Errorf("modules.alias says %q of a module that is not there", line)
			}
		}
	}

	if aliases < 5000 {
		t.Errorf("modules.alias has %d aliases; a table for this many drivers has more than 5000", aliases)
	}
}

func TestEveryPackageHasItsLicence(t *testing.T) {
	licences, err := built(t).Licences()
	if err != nil {
		t.Fatal(err)
	}

	kinds := map[string]int{}

	for _, l := range licences {
		kinds[l.Kind]++

		if l.Text == "" || l.Version == "" || l.Source == "" || l.Kind == manifest.KindDeb && l.SHA256 == "" {
			t.Errorf("%s %s: source %q, sum %q, %d bytes of licence", l.Name, l.Version, l.Source, l.SHA256, len(l.Text))
		}
	}

	if kinds[manifest.KindDeb] != 9 || kinds[manifest.KindGo] < 10 {
		t.Errorf("got packages %v, want the kernel, iPXE, the signed chain, what it was made of, ISOLINUX, and the Go modules", kinds)
	}
}

// The appliance serves the image from the memory of its program file; a copy
// would cost 45 MB of every small machine it runs on.
func TestOpenDoesNotCopy(t *testing.T) {
	built(t)

	perRun := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()

		for b.Loop() {
			if _, err := initramfs.Open(); err != nil {
				b.Fatal(err)
			}
		}
	})

	if got := perRun.AllocedBytesPerOp(); got > 1<<20 {
		t.Errorf("opening the image takes %d bytes of memory, want less than 1 MiB", got)
	}

	t.Logf("opening takes %v", perRun)
}

// What was read to verify the image is not this process's for good.
func TestReleaseGivesThePagesBack(t *testing.T) {
	image := built(t)

	for range 2 { // and they come again
		if err := image.Verify(); err != nil {
			t.Fatal(err)
		}
	}

	before := fromFiles(t)

	image.Release()

	if after := fromFiles(t); before-after < 32<<10 {
		t.Errorf("the process has %d KiB of files in memory, %d KiB before", after, before)
	}

	if err := image.Verify(); err != nil {
		t.Fatal(err)
	}
}

// fromFiles returns how much of files this process has in memory, in KiB (proc(5)).
func fromFiles(t *testing.T) (kib int) {
	t.Helper()

	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}

	_, rest, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}

	return kib
}

func TestWholePagesLieWithin(t *testing.T) {
	page := os.Getpagesize()
	room := make([]byte, 5*page)
	base := int(uintptr(unsafe.Pointer(&room[0])) % uintptr(page))

	for start := range 2 * page {
		for _, length := range []int{0, 1, page - 1, page, 2*page - 1, 2 * page, 2*page + 1, 3 * page} {
			inner := initramfs.WholePages(room[start : start+length])
			if len(inner) == 0 {
				if length >= 2*page-1 {
					t.Fatalf("nothing of %d bytes at %d", length, start)
				}

				continue
			}

			first := int(uintptr(unsafe.Pointer(&inner[0])) - uintptr(unsafe.Pointer(&room[0])))
			if (base+first)%page != 0 || len(inner)%page != 0 || first < start || first+len(inner) > start+length {
				t.Fatalf("%d bytes at %d are %d at %d", length, start, len(inner), first)
			}
		}
	}
}
