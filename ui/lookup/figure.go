package lookup

import (
	"fmt"

	"vetting/core"
)

// Figures reads the medians of what each stage of a run measured.
func Figures(r core.Reader, run core.RunID) (all []core.Figures, err error) {
	err = r.Scan(core.TableFigure, core.Query{Prefix: string(run) + "/"}, func(_ string, decode func(any) error) error {
		var f core.Figures

		if err := decode(&f); err != nil {
			return err
		}

		all = append(all, f)

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what run %s measured: %w", run, err)
	}

	return all, nil
}
