package baseline_test

import (
	"testing"

	"vetting/firmware/baseline"
)

// TestVersionsInOrder: the forms are those that machines of testdata and vendors'
// release notes show.
func TestVersionsInOrder(t *testing.T) {
	for name, c := range map[string]struct{ older, newer string }{
		"Dell BIOS":                           {"2.9.3", "2.12.2"},
		"more places":                         {"2.1", "2.1.3"},
		"leading zeros":                       {"01.71.02", "1.73.14"},
		"numbers that fit no word":            {"1.99999999999999999999", "1.100000000000000000000"},
		"a letter behind a lower number":      {"3.2a", "3.3"},
		"a letter behind a number of a digit": {"3.2a", "3.10"},
		"two letters":                         {"3.2a", "3.2b"},
		"HPE ROM":                             {"U30 v2.42 (05/27/2021)", "U30 v2.50 (05/27/2021)"},
		"HP notebook":                         {"F.12", "F.13"},
		"HP notebook in hexadecimal":          {"F.19", "F.1A"},
		"HP notebook after the letters":       {"F.1F", "F.20"},
		"Lenovo BIOS":                         {"N34ET61W (1.61 )", "N34ET62W (1.62 )"},
		"HPE disk":                            {"HPD7", "HPD8"},
		"HPE disk of two digits":              {"HPD9", "HPD10"},
		"Samsung server disk":                 {"GDC5602Q", "GDC5902Q"},
		"Intel disk":                          {"XCV10100", "XCV10110"},
		"Crucial disk":                        {"0009", "0309"},
		"Intel NIC":                           {"8.15 0x800096ca 20.0.17", "8.30 0x8000b9f0 20.5.13"},
		"Intel NIC with commas":               {"1.63, 0x800009fa", "1.67, 0x80000faf"},
		"Mellanox NIC":                        {"22.33.1048 (MT_0000000359)", "22.36.1010 (MT_0000000359)"},
		"Broadcom NIC":                        {"218.0.219.13/pkg 21.85.21.91", "218.0.219.13/pkg 21.85.21.92"},
		"tg3":                                 {"FFV21.80.9 bc 5720-v1.39", "FFV21.80.16 bc 5720-v1.39"},
		"HBA":                                 {"16.00.11.00", "16.00.12.00"},
		"vBIOS":                               {"94.02.71.00.09", "94.02.71.00.0A"},
		"microcode":                           {"0x2006e05", "0x2007006"},
		"microcode with zeros":                {"0x0a0011d1", "0xa0011d5"},
		"dates":                               {"2021-07-09", "2022-01-01"},
		"American dates":                      {"12/31/2019", "01/02/2020"},
		"dates of both forms":                 {"12/31/2019", "2020-01-02"},
		"case does not count":                 {"hpd7", "HPD8"},
	} {
		t.Run(name, func(t *testing.T) {
			if order, ok := baseline.Compare(c.older, c.newer); order != -1 || !ok {
				t.Errorf("%s and %s: %d %t", c.older, c.newer, order, ok)
			}

			if order, ok := baseline.Compare(c.newer, c.older); order != 1 || !ok {
				t.Errorf("%s and %s: %d %t", c.newer, c.older, order, ok)
			}
		})
	}
}

func TestVersionsThatAreTheSame(t *testing.T) {
	for name, c := range map[string]struct{ a, b string }{
		"letter by letter": {"1.2", "1.2"},
		"case and blanks":  {"HPD8 ", "hpd8"},
		"zeros at the end": {"2.1", "2.1.0"},
		"leading zeros":    {"01.10", "1.10"},
		"microcode":        {"0x0a0011d5", "0xa0011d5"},
		"dates":            {"2020-01-02", "01/02/2020"},
		"nobody's form":    {"ADLN.M6S", "ADLN.M6S"},
		"a build":          {"0x800005ac", "0x800005ac"},
	} {
		if order, ok := baseline.Compare(c.a, c.b); order != 0 || !ok {
			t.Errorf("%s: %d %t", name, order, ok)
		}
	}
}

// TestVersionsWithoutOrder: where a guess would be needed, none is made.
func TestVersionsWithoutOrder(t *testing.T) {
	for name, c := range map[string]struct{ a, b string }{
		"nothing":                     {"", ""},
		"nothing and something":       {"", "1.2"},
		"other letters":               {"SD1A", "SD15"},
		"a ROM of another family":     {"U30 v2.42", "U32 v2.50"},
		"a board of another family":   {"N34ET61W (1.61 )", "N35ET50W (1.50 )"},
		"a beta and a release":        {"F17a", "F17"}, // Gigabyte: F17a is before F17, Supermicro: 3.2a after 3.2
		"a letter and none":           {"3.2a", "3.2"},
		"a code's first number":       {"3B2QGXA7", "5B2QGXA7"},
		"builds of a NIC":             {"0x800005ac", "0x80000aef"},
		"test microcode":              {"0x80002006", "0x2007006"},
		"hexadecimal and decimal":     {"0x17", "18"},
		"no hexadecimal":              {"0xzz", "0x17"},
		"a hexadecimal of nine":       {"0x123456789", "0x17"},
		"a date and a version":        {"2021-07-09", "2.12.2"},
		"fields of different number":  {"1.63, 0x800009fa", "1.63"},
		"another board of Mellanox":   {"16.35.2000 (MT_0000000012)", "16.35.2000 (MT_0000000013)"},
		"a branch":                    {"1.2-rc1", "1.2"},
		"other separators":            {"1.2", "1-2"},
		"names":                       {"ADLN.M6S", "ADLN.M6T"},
		"widths of a code":            {"GDC560Q", "GDC5602Q"},
		"Intel's Wi-Fi, which hashes": {"89.d394e3d3.0", "89.1ab2c3d4.0"},
		"the head of a digest":        {"1.71.9aaaaaaa", "1.71.12000000"},
		"a commit":                    {"2.14.0-9abcdef", "2.14.0-1234567"},
		"too long":                    {string(make([]byte, 300)), "1.2"},
	} {
		if order, ok := baseline.Compare(c.a, c.b); ok {
			t.Errorf("%s: %q and %q are in order %d", name, c.a, c.b, order)
		}
	}
}

// FuzzCompare: whatever a machine says its version is, the answer holds both ways
// round, and a chain of three is never a circle.
func FuzzCompare(f *testing.F) {
	for _, seed := range [][3]string{
		{"2.9.3", "2.12.2", "2.12.2.1"},
		{"U30 v2.42 (05/27/2021)", "U30 v2.50", "U32 v2.50"},
		{"0x2006e05", "0x80002006", "18"},
		{"F.19", "F.1A", "F.20"},
		{"3.2a", "3.2b", "3.10"},
		{"GDC5602Q", "GDC5902Q", "GDC560Q"},
		{"12/31/2019", "2020-01-02", "2.1"},
		{"8.15 0x800096ca 20.0.17", "8.15.0 0x800096ca 20.0.18", "8.30"},
		{"94.02.71", "94.02.0A", "94.2.72"},
		{"1..2", "1.-2", "."},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}

	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, okAB := baseline.Compare(a, b)
		ba, okBA := baseline.Compare(b, a)

		if okAB != okBA || ab != -ba {
			t.Fatalf("%q and %q: %d %t, and the other way round %d %t", a, b, ab, okAB, ba, okBA)
		}

		bc, okBC := baseline.Compare(b, c)
		ac, okAC := baseline.Compare(a, c)

		if okAB && okBC && okAC && ab == bc && ac != ab {
			t.Fatalf("%q, %q, %q: %d, %d, and %d from end to end", a, b, c, ab, bc, ac)
		}
	})
}
