package operator

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// writeFile writes a file whole or not at all.
func writeFile(name string, content io.Reader) error {
	temp := name + ".part"

	file, err := os.Create(temp)
	if err != nil {
		return usage("writing the file: %w", err)
	}

	_, err = io.Copy(file, content)

	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temp, name)
	}

	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temp))
	}

	return nil
}
