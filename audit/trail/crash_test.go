package trail

const childEnv = "FIELDSEAL_TRAIL_CHILD"

func runChild() {}
