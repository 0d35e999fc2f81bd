package lookup

import "vetting/core"

// mostVersions bounds those of a profile that are shown.
const mostVersions = 50

// ProfileVersions lists the versions of a profile that was made in the console, the newest
// first.
func ProfileVersions(r core.Reader, name string) (list []core.ProfileText, err error) {
	query := core.Query{Prefix: core.ProfileVersion + name + "/", Reverse: true, Limit: mostVersions}

	err = r.Scan(core.TableProfile, query, func(_ string, decode func(any) error) error {
		var t core.ProfileText

		if err := decode(&t); err != nil {
			return err
		}

		list = append(list, t)

		return nil
	})

	return list, err
}
