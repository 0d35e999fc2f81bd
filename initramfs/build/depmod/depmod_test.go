package depmod_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs/build/depmod"
)

// object makes a relocatable ELF file with one section .modinfo, as little of it
// as debug/elf reads.
func object(modinfo string) []byte {
	names := "\x00.modinfo\x00.shstrtab\x00"
	order := binary.LittleEndian

	var out bytes.Buffer

	out.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))

	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&out, order, v)
		}
	}
	sections := uint64(64 + len(modinfo) + len(names))
	put(uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), sections, uint32(0), uint16(64), uint16(0), uint16(0), uint16(64), uint16(3), uint16(2))
	out.WriteString(modinfo + names)

	section := func(name, kind uint32, offset, size int) {
		put(name, kind, uint64(0), uint64(0), uint64(offset), uint64(size), uint32(0), uint32(0), uint64(1), uint64(0))
	}
	section(0, 0, 0, 0)
	section(1, 1, 64, len(modinfo))
	section(10, 3, 64+len(modinfo), len(names))

	return out.Bytes()
}

const megaraid = "license=GPL\x00\x00description=a driver\x00alias=pci:v00001000d0000005Bsv*sd*bc*sc*i*\x00alias=x\n\x00depends=scsi_mod,scsi-common\x00" +
	"softdep=pre: crc32c post: sd_mod\x00firmware=mega.bin\x00nonsense\x00"

func TestReadFindsWhatAModuleSays(t *testing.T) {
	want := depmod.Info{
		Name: "megaraid_sas", License: "GPL", Aliases: []string{"pci:v00001000d0000005Bsv*sd*bc*sc*i*"},
		Depends: []string{"scsi_mod", "scsi_common"}, SoftDeps: []string{"pre: crc32c post: sd_mod"}, Firmware: []string{"mega.bin"},
	}

	packed, err := os.ReadFile("testdata/megaraid-sas.ko.xz") // object(megaraid), packed by xz --check=crc32
	if err != nil {
		t.Fatal(err)
	}

	for name, content := range map[string][]byte{
		"kernel/drivers/scsi/megaraid-sas.ko":    object(megaraid),
		"kernel/drivers/scsi/megaraid-sas.ko.xz": packed,
	} {
		got, err := depmod.Read(name, content)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"an empty file":         {"a.ko", "", "a.ko"},
		"text":                  {"a.ko", strings.Repeat("hello", 50), "a.ko"},
		"a module cut off":      {"a.ko", string(object(megaraid)[:90]), "a.ko"},
		"a file that is not xz": {"a.ko.xz", "hello", "unpacking"},
		"no .modinfo section":   {"a.ko", strings.ReplaceAll(string(object("")), ".modinfo", ".motinfo"), "no .modinfo"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := depmod.Read(c.file, []byte(c.content)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(object(megaraid))
	f.Add(object("alias=\x00depends=,,\x00=\x00softdep"))
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := depmod.Read("kernel/fuzz.ko", content)
		if err != nil {
			return
		}

		set := depmod.Set{"kernel/fuzz.ko": info}
		_, _ = set.Close([]string{"kernel/fuzz.ko"})

		tables, err := set.Tables([]string{"kernel/fuzz.ko"})
		if err != nil {
			return
		}

		for line := range strings.Lines(string(tables["modules.alias"])) {
			if !strings.HasPrefix(line, "alias ") && !strings.HasPrefix(line, "# ") {
				t.Errorf("a module wrote the line %q into modules.alias", line)
			}
		}
	})
}

// kernel is a small system: sd_mod needs scsi_mod, which needs scsi_common;
// the HBA needs scsi_mod and, softly, an algorithm that goes by an alias.
func kernel() depmod.Set {
	return depmod.Set{
		"kernel/drivers/scsi/scsi_common.ko.xz": {Name: "scsi_common"},
		"kernel/drivers/scsi/scsi_mod.ko.xz":    {Name: "scsi_mod", Depends: []string{"scsi_common"}},
		"kernel/drivers/scsi/sd_mod.ko.xz":      {Name: "sd_mod", Depends: []string{"scsi_mod", "scsi_common"}, Aliases: []string{"scsi:t-0x00*"}},
		"kernel/drivers/scsi/hba-x.ko.xz": {
			Name: "hba_x", Depends: []string{"scsi_mod"}, Aliases: []string{"pci:v1*", "pci:v2*"}, SoftDeps: []string{"pre: crypto-crc32c absent"},
		},
		"kernel/arch/x86/crypto/crc32c-intel.ko.xz": {Name: "crc32c_intel", Aliases: []string{"crypto-crc32c", "cpu:type:*"}},
		"kernel/sound/snd.ko.xz":                    {Name: "snd"},
	}
}

func TestCloseAddsWhatIsNeeded(t *testing.T) {
	got, err := kernel().Close([]string{"kernel/drivers/scsi/hba-x.ko.xz"})
	if err != nil {
		t.Fatal(err)
	}

	want := []string{
		"kernel/arch/x86/crypto/crc32c-intel.ko.xz", "kernel/drivers/scsi/hba-x.ko.xz",
		"kernel/drivers/scsi/scsi_common.ko.xz", "kernel/drivers/scsi/scsi_mod.ko.xz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNeedsThatCannotBeMetAreErrors(t *testing.T) {
	missing := depmod.Set{"a.ko": {Name: "a", Depends: []string{"b"}}}

	var want depmod.ErrMissing

	if _, err := missing.Close([]string{"a.ko"}); !errors.As(err, &want) || want.Needs != "b" {
		t.Errorf("choosing: got %v, want that b is missing", err)
	}

	if _, err := missing.Tables([]string{"a.ko"}); !errors.As(err, &want) {
		t.Errorf("tables: got %v, want that b is missing", err)
	}

	circle := depmod.Set{"a.ko": {Name: "a", Depends: []string{"b"}}, "b.ko": {Name: "b", Depends: []string{"a"}}}
	if _, err := circle.Tables([]string{"a.ko"}); err == nil {
		t.Error("a circle of needs gave no error")
	}
}

func TestTablesAreThoseOfDepmod(t *testing.T) {
	set := kernel()

	chosen := depmod.Order(
		[]string{"kernel/drivers/scsi/hba-x.ko.xz", "kernel/drivers/scsi/scsi_common.ko.xz", "kernel/drivers/scsi/scsi_mod.ko.xz", "kernel/drivers/scsi/sd_mod.ko.xz"},
		"kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/scsi/scsi_mod.ko\n")

	got, err := set.Tables(chosen)
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		"modules.dep": `kernel/drivers/scsi/sd_mod.ko.xz: kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/scsi/scsi_common.ko.xz
kernel/drivers/scsi/scsi_mod.ko.xz: kernel/drivers/scsi/scsi_common.ko.xz
kernel/drivers/scsi/hba-x.ko.xz: kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/scsi/scsi_common.ko.xz
kernel/drivers/scsi/scsi_common.ko.xz:
`,
		"modules.alias": `# Aliases extracted from modules themselves.
alias scsi:t-0x00* sd_mod
alias pci:v1* hba_x
alias pci:v2* hba_x
`,
		"modules.softdep": `# Soft dependencies extracted from modules themselves.
softdep hba_x pre: crypto-crc32c absent
`,
	}

	for name, text := range want {
		if diff := cmp.Diff(text, string(got[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		rules depmod.Rules
		want  []string
	}{
		"a folder":         {depmod.Rules{Keep: []string{"sound"}}, []string{"kernel/sound/snd.ko.xz"}},
		"a module":         {depmod.Rules{Keep: []string{"sound/snd"}}, []string{"kernel/sound/snd.ko.xz"}},
		"a pattern":        {depmod.Rules{Keep: []string{"drivers/scsi/sd_*"}}, []string{"kernel/drivers/scsi/sd_mod.ko.xz"}},
		"not half a name":  {depmod.Rules{Keep: []string{"sou", "drivers/scsi/sd"}}, nil},
		"drop wins":        {depmod.Rules{Keep: []string{"sound"}, Drop: []string{"sound/snd"}}, nil},
		"drop one of many": {depmod.Rules{Keep: []string{"drivers/scsi"}, Drop: []string{"drivers/scsi/s*"}}, []string{"kernel/drivers/scsi/hba-x.ko.xz"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.rules.Choose(kernel())); diff != "" {
				t.Error(diff)
			}
		})
	}

	dead := depmod.Rules{Keep: []string{"sound", "drivers/scsi/gone"}, Drop: []string{"fs"}}.Dead(kernel())
	if diff := cmp.Diff([]string{"drivers/scsi/gone", "fs"}, dead); diff != "" {
		t.Errorf("rules without a module: %s", diff)
	}
}

func TestNameIsWhatTheKernelCallsIt(t *testing.T) {
	for file, want := range map[string]string{
		"kernel/drivers/hid/hid-generic.ko.xz": "hid_generic", "crc32c-intel.ko": "crc32c_intel", "a/nvme.ko.zst": "nvme",
	} {
		if got := depmod.Name(file); got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}
