package memory

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// BootTest is what the kernel's own test found before it used the memory
// (memtest= on its command line, mm/memtest.c). It reaches what no process can.
type BootTest struct {
	Patterns int    // how many were written; 0: it did not run, as far as is known
	BadBytes uint64 // taken out of use
	Bad      []BadRange
}

// BadRange is memory that the kernel found bad.
type BadRange struct {
	Range

	Pattern uint64 // as it stands in memory, byte by byte
}

// ReadBootTest joins what /proc/meminfo says (EarlyMemtestBad, where the test ran)
// and the kernel's messages since it booted.
func ReadBootTest(root fs.FS, kmsg []string) BootTest {
	test := parseBootTest(kmsg)

	if rows, err := meminfo(root, "proc/meminfo"); err == nil {
		bad, ran := rows["EarlyMemtestBad"]
		test.BadBytes = max(test.BadBytes, bad)

		if ran && test.Patterns == 0 {
			test.Patterns = 1 // the message was overwritten in the log
		}
	}

	return test
}

func parseBootTest(kmsg []string) (test BootTest) {
	count := regexp.MustCompile(`early_memtest: # of tests: (\d+)`)
	bad := regexp.MustCompile(`([0-9a-f]{16}) bad mem addr (0x[0-9a-f]+) - (0x[0-9a-f]+) reserved`)

	for _, line := range kmsg {
		if m := count.FindStringSubmatch(line); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				test.Patterns = n
			}
		}

		m := bad.FindStringSubmatch(line)
		if m == nil {
			continue
		}

		pattern, err1 := strconv.ParseUint(m[1], 16, 64)
		start, err2 := strconv.ParseUint(strings.TrimPrefix(m[2], "0x"), 16, 64)
		end, err3 := strconv.ParseUint(strings.TrimPrefix(m[3], "0x"), 16, 64)

		if err1 == nil && err2 == nil && err3 == nil && end > start {
			test.Bad = append(test.Bad, BadRange{Range: Range{start, end}, Pattern: pattern})
			test.BadBytes += end - start
		}
	}

	return test
}
