package disk

import (
	"regexp"
	"strings"
)

// Shingling is how a disk whose tracks overlap like shingles (SMR) lets itself be
// written; empty: its tracks do not, or it does not tell.
type Shingling string

// The ways of shingled disks (ZBC-2, ACS-4).
const (
	// HostManaged: most of it can be written from the beginnings of its zones alone.
	HostManaged Shingling = "host-managed"
	// HostAware: it can be written at will, and tells of its zones.
	HostAware Shingling = "host-aware"
	// DriveManaged: it can be written at will, and rearranges its tracks by itself. That
	// takes its time: some writes wait for seconds, and long ones get slow.
	DriveManaged Shingling = "drive-managed"
)

// zonedField decodes the field ZONED, which word 69 of IDENTIFY DEVICE and VPD page B1h
// have in common. A host-managed disk has neither: its device type tells.
func zonedField(bits byte) Shingling {
	switch bits {
	case 1:
		return HostAware
	case 2:
		return DriveManaged
	default:
		return ""
	}
}

// Shingle says whether a disk that turns is a shingled one, and how that is known. Its own
// word counts first. Most that manage themselves keep silent: then it is their model, as
// their makers told in the end, or that they know TRIM. A disk whose tracks stand by
// themselves has nothing to forget; this one alone is a guess, and how says so.
func Shingle(id ATAIdentity) (s Shingling, how string) {
	switch {
	case id.Shingled != "":
		return id.Shingled, "by its own word (IDENTIFY word 69)"
	case !id.Rotational || id.RPM == 0: // flash that does not tell that it is flash knows TRIM as well
		return "", ""
	}

	if maker := shingledModel(id.Model); maker != "" {
		return DriveManaged, "by its model, as " + maker
	}

	if id.Trim {
		return DriveManaged, "in all likelihood: it turns, and knows TRIM"
	}

	return "", ""
}

// family is a row of models of one maker.
type family struct {
	source string
	models *regexp.Regexp // of the model, without the maker's name
}

// families are models of which their makers have said that they are shingled and manage
// themselves. None is listed that others have measured alone.
func families() []family {
	return []family{
		{"Western Digital said (list of 22 April 2020)", regexp.MustCompile(`^WD(20|30|40|60)EFAX|^WD[26]0EZAZ|^WD[12]0SPZX|^WD10SPSX`)},
		{"Seagate says (list of CMR and SMR drives)", regexp.MustCompile(`^ST(2000DM00[58]|3000DM007|4000DM004|6000DM003|8000DM004|500LM030|1000LM048|2000LM015|[34]000LM024|5000LM000)`)},
		{"Seagate says (manual of Archive HDD)", regexp.MustCompile(`^ST(5000AS0011|6000AS0002|8000AS0002)`)},
		{"Toshiba said (news of 28 April 2020)", regexp.MustCompile(`^(HDWD2[46]0|DT02ABA[46]00|HDWL1[12]0|MQ04[AU]B[FD][12]00)`)},
	}
}

// shingledModel is who said that a model is shingled; empty: nobody.
func shingledModel(model string) string {
	for _, maker := range []string{"WDC ", "TOSHIBA ", "SEAGATE ", "ATA "} {
		if len(model) > len(maker) && strings.EqualFold(model[:len(maker)], maker) {
			model = model[len(maker):]
		}
	}

	for _, f := range families() {
		if f.models.MatchString(model) {
			return f.source
		}
	}

	return ""
}
