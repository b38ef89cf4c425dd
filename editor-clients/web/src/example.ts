// What the editor begins with: a function that does not parse, and one in an old style.

export const EXAMPLE = `def total(items, start=None)
    if start == None:
        start = 0
    for item in items:
        start += item
    return start


class Account(Base):
    def __init__(self, owner):
        super(Account, self).__init__()
        self.owner = owner

    def is_open(self):
        return self.owner != None
`;
