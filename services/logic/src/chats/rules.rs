//! Who may do what in a conversation (pure).
//!
//! | may            | owner | admin   | member | in a direct chat |
//! |----------------|-------|---------|--------|------------------|
//! | add            | yes   | yes     | no     | nobody           |
//! | remove another | all   | members | no     | nobody           |
//! | leave          | last  | yes     | yes    | nobody           |
//! | set a role     | yes   | no      | no     | nobody           |
//!
//! A group has one owner: making another the owner makes the old one an admin. An owner leaves only as the last one.

use gochat_proto::types::{ConversationKind, Role};

use crate::error::Refusal;

/// Who asks: their role in a conversation of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    pub(crate) kind: ConversationKind,
    pub(crate) role: Role,
}

const DIRECT: Refusal = Refusal::Forbidden("a direct chat's members don't change");

impl Actor {
    fn in_group(self) -> Result<Self, Refusal> {
        if self.kind == ConversationKind::Group { Ok(self) } else { Err(DIRECT) }
    }

    pub(crate) fn may_add(self) -> Result<(), Refusal> {
        match self.in_group()?.role {
            Role::Owner | Role::Admin => Ok(()),
            _ => Err(Refusal::Forbidden("only the owner and admins add members")),
        }
    }

    pub(crate) fn may_remove(self, target: Role) -> Result<(), Refusal> {
        match (self.in_group()?.role, target) {
            (_, Role::Owner) => Err(Refusal::Forbidden("the owner can't be removed")),
            (Role::Owner, _) | (Role::Admin, Role::Member) => Ok(()),
            (Role::Admin, _) => Err(Refusal::Forbidden("an admin removes members only")),
            _ => Err(Refusal::Forbidden("only the owner and admins remove members")),
        }
    }

    pub(crate) fn may_leave(self, member_count: u32) -> Result<(), Refusal> {
        if self.in_group()?.role == Role::Owner && member_count > 1 {
            return Err(Refusal::Forbidden("the owner leaves last: make another member the owner first"));
        }
        Ok(())
    }

    /// What happens to the two roles: (the target's, the actor's).
    pub(crate) fn may_set(self, own: bool, role: Role) -> Result<(Role, Option<Role>), Refusal> {
        if self.in_group()?.role != Role::Owner {
            return Err(Refusal::Forbidden("only the owner sets roles"));
        }
        match role {
            Role::Unspecified => Err(Refusal::field("role", "must be member, admin or owner")),
            _ if own => Err(Refusal::Forbidden("the owner stays owner until another one is made it")),
            Role::Owner => Ok((Role::Owner, Some(Role::Admin))),
            Role::Admin | Role::Member => Ok((role, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];

    fn group(role: Role) -> Actor {
        Actor { kind: ConversationKind::Group, role }
    }

    #[test]
    fn the_table_holds() {
        let add = ROLES.map(|role| group(role).may_add().is_ok());
        assert_eq!(add, [true, true, false]);
        let remove = ROLES.map(|actor| ROLES.map(|target| group(actor).may_remove(target).is_ok()));
        assert_eq!(remove, [[false, true, true], [false, false, true], [false, false, false]]);
        let leave = ROLES.map(|role| (group(role).may_leave(2).is_ok(), group(role).may_leave(1).is_ok()));
        assert_eq!(leave, [(false, true), (true, true), (true, true)]);
        let set = ROLES.map(|actor| ROLES.map(|role| group(actor).may_set(false, role).is_ok()));
        assert_eq!(set, [[true; 3], [false; 3], [false; 3]]);
    }

    #[test]
    fn ownership_is_handed_over_and_never_dropped() {
        assert_eq!(group(Role::Owner).may_set(false, Role::Owner), Ok((Role::Owner, Some(Role::Admin))));
        assert!(group(Role::Owner).may_set(true, Role::Member).is_err());
        assert!(group(Role::Owner).may_set(false, Role::Unspecified).is_err());
    }

    #[test]
    fn nothing_changes_in_a_direct_chat() {
        for role in ROLES {
            let actor = Actor { kind: ConversationKind::Direct, role };
            assert_eq!(actor.may_add(), Err(DIRECT));
            assert_eq!(actor.may_remove(Role::Member), Err(DIRECT));
            assert_eq!(actor.may_leave(1), Err(DIRECT));
            assert_eq!(actor.may_set(false, Role::Admin), Err(DIRECT));
        }
    }
}
