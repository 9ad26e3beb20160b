package unit

// Check tells everything that keeps the file from being submitted as the unit
// called name. A template is checked as an instance of it would be; what is
// wrong with only some instances comes to light when those are submitted.
//
// What systemd would refuse, such as a service without ExecStart, is left to
// systemd.
func Check(name string, f *File) error {
	_, err := f.Requirements(name)
	return err
}
